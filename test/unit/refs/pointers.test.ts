import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diskTallyOf } from '../../../src/refs/disk-tally.js';
import { countPointers, indexOfOffset, PointerCollector } from '../../../src/refs/pointers.js';

const l1 = fc.array(fc.nat(12).map((cluster) => cluster * 512));

/** L1 entries as words, with COPIED flags here and there. */
function wordsOf(offsets: readonly number[]): Uint32Array {
  return Uint32Array.from(offsets.flatMap((at, i) => [i % 2 === 0 ? 0x8000_0000 : 0, at]));
}

test('every pointer to an L2 table counts, once for each L1 entry that has it', () => {
  fc.assert(
    fc.property(fc.array(l1), (tables) => {
      const collector = new PointerCollector();
      const model = new Map<number, number[]>();
      tables.forEach((offsets, disk) => {
        collector.addTable(disk, wordsOf(offsets));
        for (const at of offsets.filter((offset) => offset !== 0)) {
          model.set(at, [...(model.get(at) ?? []), disk]);
        }
      });
      const pointers = collector.finish();
      const offsets = [...model.keys()].sort((a, b) => a - b);
      expect([...pointers.offsets]).toEqual(offsets);
      const disksOf = [...pointers.sets].map((set) => pointers.disks.disksOf(set));
      expect(disksOf).toEqual(offsets.map((at) => model.get(at)!));
      const isOdd = (disk: number): boolean => disk % 2 === 1;
      const odd = offsets.map((at) => model.get(at)!.filter(isOdd).length);
      expect([...countPointers(pointers, isOdd)]).toEqual(odd);
      offsets.forEach((at, i) => {
        expect(indexOfOffset(pointers.offsets, at)).toBe(i);
      });
    }),
  );
});

test('the active disk and snapshots are told apart', () => {
  const collector = new PointerCollector();
  collector.addTable(0, wordsOf([512, 1024]));
  collector.addTable(1, wordsOf([1024, 1024]));
  collector.addTable(7, wordsOf([1536, 512]));
  const { offsets, active, inactive } = diskTallyOf(collector.finish());
  expect([[...offsets], [...active], [...inactive]]).toEqual([
    [512, 1024, 1536],
    [1, 1, 0],
    [1, 2, 1],
  ]);
});

test('offsets above 2^32 are kept exact', () => {
  const collector = new PointerCollector();
  collector.addTable(0, Uint32Array.of(0x80ff_ffff, 0xffff_fe00, 1, 0));
  expect([...collector.finish().offsets]).toEqual([2 ** 32, 2 ** 56 - 512]);
});
