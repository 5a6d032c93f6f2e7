import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DiskSets, NO_DISKS, type DiskSet } from '../../../src/refs/disk-sets.js';

const disks = fc.array(fc.nat(8)).map((numbers) => numbers.sort((a, b) => a - b));

function setOf(sets: DiskSets, numbers: readonly number[]): DiskSet {
  return numbers.reduce((set, disk) => sets.with(set, disk), NO_DISKS);
}

test('a set has the disks that were put into it, each as often as it was', () => {
  fc.assert(
    fc.property(fc.array(disks), (lists) => {
      const sets = new DiskSets();
      const made = lists.map((numbers) => setOf(sets, numbers));
      expect(made.map((set) => sets.disksOf(set))).toEqual(lists);
      // The same disks are the same set.
      lists.forEach((one, i) => {
        lists.forEach((other, j) => {
          expect(made[i] === made[j]).toBe(one.join() === other.join());
        });
      });
      const sums = sets.sums((disk) => disk * disk + 1);
      lists.forEach((numbers, i) => {
        const sum = numbers.reduce((so, disk) => so + disk * disk + 1, 0);
        expect(sums[made[i]!]).toBe(sum);
        expect(sets.fold('', (so, disk) => `${so}${disk}`)[made[i]!]).toBe(numbers.join(''));
        for (let disk = 0; disk < 9; disk++) {
          expect(sets.having(disk)[made[i]!]).toBe(numbers.includes(disk) ? 1 : 0);
        }
      });
    }),
  );
});

test('a union has the disks of both, each once', () => {
  fc.assert(
    fc.property(disks, disks, (one, other) => {
      const sets = new DiskSets();
      const unique = (numbers: readonly number[]): number[] => [...new Set(numbers)];
      const [a, b] = [setOf(sets, unique(one)), setOf(sets, unique(other))];
      const both = unique([...one, ...other]).sort((x, y) => x - y);
      expect(sets.disksOf(sets.union(a, b))).toEqual(both);
      expect(sets.union(b, a)).toBe(sets.union(a, b));
      expect(sets.union(a, a)).toBe(a);
      expect(sets.union(NO_DISKS, a)).toBe(a);
    }),
  );
});

test('a distinct set has each disk once; sums go to each disk that a set has', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(disks, fc.nat(1000))), (lists) => {
      const sets = new DiskSets();
      const of = new Float64Array(1000);
      const expected = new Float64Array(9);
      for (const [numbers, amount] of lists) {
        const set = sets.distinct(setOf(sets, numbers));
        expect(sets.disksOf(set)).toEqual([...new Set(numbers)]);
        if (set === NO_DISKS) continue;
        of[set]! += amount;
        for (const disk of new Set(numbers)) expected[disk]! += amount;
      }
      expect([...sets.sumsByDisk(of, 9)]).toEqual([...expected]);
    }),
  );
});

test('many snapshots of one table make as many sets, and no more', () => {
  const sets = new DiskSets();
  for (let table = 0; table < 100; table++) {
    setOf(sets, [...Array(1000).keys()]);
  }
  expect(sets.size).toBe(1001);
});
