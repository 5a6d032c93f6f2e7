import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DiskSets, NO_DISKS, type DiskSet } from '../../../src/refs/disk-sets.js';
import { OwnerMap } from '../../../src/refs/owner-map.js';

/** More than two chunks, the last of them not whole. */
const CLUSTERS = 2 ** 15 + 100;

const stretch = fc.record({
  first: fc.oneof(fc.nat(CLUSTERS - 1), fc.constantFrom(0, 2 ** 14, 2 ** 14 - 1, 2 ** 15)),
  length: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(2 ** 14, CLUSTERS)),
  disks: fc.uniqueArray(fc.nat(5), { minLength: 1 }),
});

test('each cluster belongs to all disks that it was given to, and ranges cover them once', () => {
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 12 }), (stretches) => {
      const sets = new DiskSets();
      const map = new OwnerMap(sets, CLUSTERS);
      const model = Array.from({ length: CLUSTERS }, () => 0);
      for (const { first, length, disks } of stretches) {
        const sorted = disks.toSorted((a, b) => a - b);
        const set = sorted.reduce<DiskSet>((of, disk) => sets.with(of, disk), NO_DISKS);
        map.add(first, length, set);
        const bits = sorted.reduce((sum, disk) => sum | (1 << disk), 0);
        for (let i = first; i < Math.min(first + length, CLUSTERS); i++) model[i]! |= bits;
      }
      const bitsOf = (set: DiskSet): number =>
        sets.disksOf(set).reduce((sum, disk) => sum | (1 << disk), 0);
      for (const cluster of [0, 1, 2 ** 14 - 1, 2 ** 14, 2 ** 15, CLUSTERS - 1]) {
        expect(bitsOf(map.of(cluster))).toBe(model[cluster]);
      }
      const covered = Array.from({ length: CLUSTERS }, () => 0);
      let [end, last] = [0, NO_DISKS];
      for (const { first, length, owners } of map.ranges()) {
        expect(first).toBeGreaterThanOrEqual(end);
        // Neighbours with the same owners are one range.
        expect(first === end && owners === last).toBe(false);
        covered.fill(bitsOf(owners), first, first + length);
        [end, last] = [first + length, owners];
      }
      expect(Buffer.from(Uint8Array.from(covered)).equals(Uint8Array.from(model))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('clusters behind the end belong to nobody', () => {
  const sets = new DiskSets();
  const map = new OwnerMap(sets, 10);
  map.add(8, 100, sets.with(NO_DISKS, 3));
  expect([...map.ranges()]).toEqual([{ first: 8, length: 2, owners: map.of(9) }]);
  expect(map.of(10)).toBe(NO_DISKS);
});
