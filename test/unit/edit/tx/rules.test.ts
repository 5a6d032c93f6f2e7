import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { assertSafe } from '../../../../src/edit/tx/rules.js';
import type { ShadowWrite, WritePlan } from '../../../../src/edit/tx/plan.js';
import { AS_READ } from '../../../support/table-content.js';

const literal = (at: number, length: number): ShadowWrite => {
  return { kind: 'literal', what: 'x', at, bytes: new Uint8Array(length) };
};
const tables = (...targets: number[]): ShadowWrite => ({
  kind: 'tables',
  what: 'y',
  tableBytes: 512,
  targets: Float64Array.from(targets),
  sources: undefined,
  content: AS_READ,
});

const SAFE: WritePlan = {
  headerSector: new Uint8Array(512),
  fileSizeBytes: 8192,
  shadow: [literal(1024, 1024), tables(512, 4096)],
  switch: { at: 24, bytes: new Uint8Array(72) },
  freed: [],
  punch: [{ at: 2048, length: 1024 }],
};

function verdict(plan: WritePlan): unknown {
  try {
    assertSafe(plan);
    return 'safe';
  } catch (error) {
    return isQsnapError(error) ? error.code : error;
  }
}

test('a plan that keeps the rules', () => {
  expect(verdict(SAFE)).toBe('safe');
  expect(verdict({ ...SAFE, shadow: [], punch: [] })).toBe('safe');
});

test.each<[string, Partial<WritePlan>]>([
  ['the switch begins before byte 24', { switch: { at: 23, bytes: new Uint8Array(1) } }],
  ['the switch reaches past byte 95', { switch: { at: 24, bytes: new Uint8Array(73) } }],
  ['the switch is in another sector', { switch: { at: 512, bytes: new Uint8Array(8) } }],
  ['R13: a new copy lies in the first sector', { shadow: [literal(0, 512)] }],
  ['a new copy begins inside it', { shadow: [literal(511, 512)] }],
  ['a table lies in the first sector', { shadow: [tables(0)] }],
  ['two new copies overlap', { shadow: [literal(1024, 1024), literal(1536, 512)] }],
  ['two tables have one place', { shadow: [tables(1024, 1024)] }],
  ['a table lies over a literal', { shadow: [literal(1024, 1024), tables(1536)] }],
  ['R7: what is freed is written', { punch: [{ at: 1024, length: 512 }] }],
  ['R7: what is freed holds a new table', { punch: [{ at: 4000, length: 200 }] }],
  ['R7: a new copy lies over something of the old state', { freed: [{ at: 1024, length: 512 }] }],
  ['a range becomes free twice', { freed: [SAFE.punch[0]!, SAFE.punch[0]!] }],
  ['S12: the header becomes free', { freed: [{ at: 0, length: 512 }] }],
  ['something is freed twice', { punch: [SAFE.punch[0]!, SAFE.punch[0]!] }],
  ['S12: the header is freed', { punch: [{ at: 0, length: 512 }] }],
])('planted: %s', (_, violation) => {
  expect(verdict({ ...SAFE, ...violation })).toBe('INTERNAL');
});

test('R7: any overlap of sectors is caught, in any order, and nothing else is', () => {
  const sector = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 3 }));
  fc.assert(
    fc.property(fc.array(sector, { maxLength: 5 }), fc.array(sector, { maxLength: 3 }), (a, b) => {
      const used = [...a, ...b].flatMap(([at, n]) => Array.from({ length: n }, (_, i) => at + i));
      const plan = {
        ...SAFE,
        shadow: a.map(([at, n]) => literal(at * 512, n * 512)),
        punch: b.map(([at, n]) => ({ at: at * 512, length: n * 512 })),
      };
      expect(verdict(plan)).toBe(new Set(used).size === used.length ? 'safe' : 'INTERNAL');
    }),
    { numRuns: 300 },
  );
});
