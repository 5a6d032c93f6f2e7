import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EDIT_SIDES, indexOfOffset, L2TallyBuilder } from '../../../src/l1l2/tally.js';

type Side = (typeof EDIT_SIDES)[number];
const l1 = fc.record({
  offsets: fc.array(fc.nat(12).map((cluster) => cluster * 512)),
  sides: fc.subarray([...EDIT_SIDES]),
});

/** L1 entries as words, with COPIED flags here and there. */
function wordsOf(offsets: readonly number[]): Uint32Array {
  return Uint32Array.from(offsets.flatMap((at, i) => [i % 2 === 0 ? 0x8000_0000 : 0, at]));
}

test('A15: counts every pointer to an L2 table, once for each L1 that has it', () => {
  fc.assert(
    fc.property(fc.array(l1), (tables) => {
      const builder = new L2TallyBuilder(EDIT_SIDES);
      const model = new Map<number, Record<Side, number>>();
      for (const { offsets, sides } of tables) {
        builder.add(wordsOf(offsets), ...sides);
        for (const at of offsets.filter((offset) => offset !== 0)) {
          if (!model.has(at)) model.set(at, { before: 0, kept: 0, written: 0 });
          for (const side of sides) model.get(at)![side] += 1;
        }
      }
      const tally = builder.finish();
      const offsets = [...model.keys()].sort((a, b) => a - b);
      expect([...tally.offsets]).toEqual(offsets);
      for (const side of EDIT_SIDES) {
        expect([...tally[side]]).toEqual(offsets.map((at) => model.get(at)![side]));
      }
      offsets.forEach((at, i) => {
        expect(indexOfOffset(tally.offsets, at)).toBe(i);
      });
    }),
  );
});

test('E2: offsets above 2^32 are kept exact', () => {
  const builder = new L2TallyBuilder(EDIT_SIDES);
  builder.add(Uint32Array.of(0x80ff_ffff, 0xffff_fe00, 1, 0), 'before');
  expect([...builder.finish().offsets]).toEqual([2 ** 32, 2 ** 56 - 512]);
});
