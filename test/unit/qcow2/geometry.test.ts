import fc from 'fast-check';
import { expect, test } from 'vitest';
import { geometryOf, l1EntriesFor } from '../../../src/qcow2/geometry.js';

test.each([
  [16, 4, false, { l2Entries: 8192, l2CoverageBytes: 2 ** 29, refcountBlockEntries: 32_768 }],
  [9, 6, false, { l2Entries: 64, l2CoverageBytes: 2 ** 15, refcountBlockEntries: 64 }],
  [21, 0, false, { l2Entries: 262_144, l2CoverageBytes: 2 ** 39, refcountBlockEntries: 2 ** 24 }],
  [14, 4, true, { l2Entries: 1024, l2CoverageBytes: 2 ** 24, refcountBlockEntries: 8192 }],
])('A12: clusters of 2^%d, order %d, extended: %s', (bits, order, extended, sizes) => {
  expect(geometryOf(bits, order, extended)).toMatchObject(sizes);
});

test('A4: VM state begins at the L1 entry after the last one of the disk, in any geometry', () => {
  const bits = fc.integer({ min: 9, max: 21 });
  fc.assert(
    fc.property(
      bits,
      fc.boolean(),
      fc.bigInt(0n, 2n ** 53n - 1n),
      (clusterBits, extended, size) => {
        const clusterBytes = 2n ** BigInt(clusterBits);
        const coverage = (clusterBytes / (extended ? 16n : 8n)) * clusterBytes;
        const expected = (size + coverage - 1n) / coverage;
        const geometry = geometryOf(clusterBits, 4, extended);
        expect(BigInt(l1EntriesFor(Number(size), geometry))).toBe(expected);
      },
    ),
  );
});

test('A14: a disk of size 0 needs no L1 entry', () => {
  expect(l1EntriesFor(0, geometryOf(16, 4, false))).toBe(0);
});
