import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeL2Entry, judgeL1Entry, judgeL2Entry } from '../../../../src/l1l2/entry.js';
import type { TableFormat } from '../../../../src/l1l2/entry.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import {
  flawOfL1Entry,
  flawOfL2Entry,
  mendedL1Entry,
  mendedL2Entry,
  zeroingOf,
  type EntryWords,
} from '../../../../src/edit/repair/mend-entry.js';

const FILE_CLUSTERS = 64;

function format(extendedL2: boolean, version: 2 | 3 = 3): TableFormat {
  const geometry = geometryOf(16, 4, extendedL2);
  return { geometry, version, fileClusters: FILE_CLUSTERS };
}
const PLAIN = format(false);
const EXTENDED = format(true);

/** Words that are often sound: offsets of clusters around the end of the file, flags, stray bits. */
const standard = fc
  .record({
    cluster: fc.integer({ min: 0, max: FILE_CLUSTERS + 4 }),
    stray: fc.constantFrom(0, 0, 0, 0x200, 0x8000, 0x2, 0x100),
    strayHigh: fc.constantFrom(0, 0, 0, 0x0100_0000, 0x2000_0000),
    copied: fc.boolean(),
    zero: fc.boolean(),
  })
  .map(({ cluster, stray, strayHigh, copied, zero }): [number, number] => [
    (strayHigh | (copied ? 0x8000_0000 : 0)) >>> 0,
    (cluster * 65536 + stray + (zero ? 1 : 0)) >>> 0,
  ]);
const compressed = fc
  .record({
    at: fc.integer({ min: 0, max: (FILE_CLUSTERS + 2) * 65536 }),
    sectors: fc.integer({ min: 0, max: 255 }),
    copied: fc.boolean(),
  })
  .map(({ at, sectors, copied }): [number, number] => [
    (0x4000_0000 | (copied ? 0x8000_0000 : 0) | (sectors << 22)) >>> 0,
    at,
  ]);
const bitmap = fc.constantFrom(0, 0, 1, 0x8000_0000, 0xffff_ffff, 0xf0f0_0000);
const plainEntry: fc.Arbitrary<EntryWords> = fc.oneof(standard, compressed);
const extendedEntry: fc.Arbitrary<EntryWords> = fc
  .tuple(plainEntry, bitmap, bitmap)
  .map(([words, zero, allocated]) => [...words, zero, allocated]);

function isWhole(words: EntryWords, of: TableFormat): boolean {
  return (
    judgeL2Entry(words[0]!, words[1]!, of) === undefined && flawOfL2Entry(words, of) === undefined
  );
}

describe.each([
  ['A8, A10: an entry', PLAIN, plainEntry],
  ['A12: an extended entry', EXTENDED, extendedEntry],
] as const)('%s', (_, of, entries) => {
  test('is sound once it is mended', () => {
    fc.assert(
      fc.property(entries, (words) => {
        const flaw = flawOfL2Entry(words, of);
        if (flaw === undefined) return;
        const mended = mendedL2Entry(words, flaw, of, 'flag')!;
        expect(mended.length).toBe(words.length);
        expect(isWhole(mended, of)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('means the same as before where only stray bits were wrong', () => {
    fc.assert(
      fc.property(entries, (words) => {
        if (flawOfL2Entry(words, of) !== 'bits') return;
        const mended = mendedL2Entry(words, 'bits', of, 'impossible')!;
        const [was, is] = [words, mended].map(([high, low]) => decodeL2Entry(high!, low!, of));
        expect({ ...is, copied: 0, sectorBytes: 0 }).toEqual({ ...was, copied: 0, sectorBytes: 0 });
      }),
      { numRuns: 2000 },
    );
  });
});

test('A13: an entry that points past the end reads as zeros, or stays where it could not', () => {
  const past = [0, FILE_CLUSTERS * 65536];
  expect(flawOfL2Entry(past, PLAIN)).toBe('unreadable');
  expect(mendedL2Entry(past, 'unreadable', PLAIN, 'flag')).toEqual([0, 1]);
  expect(mendedL2Entry(past, 'unreadable', format(false, 2), 'unallocated')).toEqual([0, 0]);
  expect(mendedL2Entry(past, 'unreadable', format(false, 2), 'impossible')).toBeUndefined();
  expect(mendedL2Entry([...past, 0, 1], 'unreadable', EXTENDED, 'flag')).toEqual([
    0, 0, 0xffff_ffff, 0,
  ]);
});

test('A12: subclusters that are both zero and allocated read as zeros, the others stay', () => {
  const both = [0x8000_0000, 5 * 65536, 0b0011, 0b0110];
  expect(flawOfL2Entry(both, EXTENDED)).toBe('unreadable');
  expect(mendedL2Entry(both, 'unreadable', EXTENDED, 'flag')).toEqual([
    0x8000_0000,
    5 * 65536,
    0b0011,
    0b0100,
  ]);
  const nowhere = [0, 0, 0b0001, 0b0110];
  expect(mendedL2Entry(nowhere, 'unreadable', EXTENDED, 'flag')).toEqual([0, 0, 0b0111, 0]);
});

test('A10: a compressed cluster whose length reaches past the end keeps its place', () => {
  const at = (FILE_CLUSTERS - 1) * 65536 + 700;
  const words = [(0x4000_0000 | (200 << 22)) >>> 0, at];
  expect(flawOfL2Entry(words, PLAIN)).toBe('bits');
  const mended = mendedL2Entry(words, 'bits', PLAIN, 'flag')!;
  expect(decodeL2Entry(mended[0]!, mended[1]!, PLAIN)).toEqual({
    kind: 'compressed',
    at,
    sectorBytes: 65536 - 512,
  });
});

test('A13: L1 entries', () => {
  expect(flawOfL1Entry(0, 0, PLAIN)).toBeUndefined();
  expect(flawOfL1Entry(0x8000_0000, 3 * 65536, PLAIN)).toBeUndefined();
  expect(flawOfL1Entry(0x8100_0000, 3 * 65536 + 1, PLAIN)).toBe('bits');
  expect(mendedL1Entry(0x8100_0000, 3 * 65536 + 1, 'bits')).toEqual([0x8000_0000, 3 * 65536]);
  expect(flawOfL1Entry(0, 3 * 65536 + 512, PLAIN)).toBe('unreadable');
  expect(mendedL1Entry(0, 3 * 65536 + 512, 'unreadable')).toEqual([0, 0]);
  expect(flawOfL1Entry(0x8000_0000, 0, PLAIN), 'COPIED alone').toBe('bits');
  expect(judgeL1Entry(...(mendedL1Entry(0x8000_0000, 0, 'bits') as [number, number]), PLAIN)).toBe(
    undefined,
  );
});

test('zeros are made by the flag, without a backing file by nothing, else not at all', () => {
  expect(zeroingOf(PLAIN, true)).toBe('flag');
  expect(zeroingOf(format(false, 2), false)).toBe('unallocated');
  expect(zeroingOf(format(false, 2), true)).toBe('impossible');
});
