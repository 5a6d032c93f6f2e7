import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clustersToHold, GiB, isAligned, KiB, MiB, roundUp } from '../../../src/base/units.js';

test('sizes', () => {
  expect([KiB, MiB, GiB]).toEqual([1024, 1_048_576, 1_073_741_824]);
});

const offset = fc.bigInt(0n, 2n ** 53n - 1n);
const clusterBits = fc.integer({ min: 9, max: 21 });

test('E2: conversions are exact up to 2^53 - 1, where a shift would cut to 32 bits', () => {
  fc.assert(
    fc.property(offset, clusterBits, (at, bits) => {
      const clusterBytes = 2 ** bits;
      const cluster = at >> BigInt(bits);
      const isMultiple = at % BigInt(clusterBytes) === 0n;
      expect(isAligned(Number(at), clusterBytes)).toBe(isMultiple);
      expect(BigInt(clustersToHold(Number(at), clusterBytes))).toBe(
        isMultiple ? cluster : cluster + 1n,
      );
    }),
  );
});

test.each([
  [0, 8, 0],
  [1, 8, 8],
  [8, 8, 8],
  [9, 8, 16],
])('%d rounded up to a multiple of %d is %d', (value, multiple, rounded) => {
  expect(roundUp(value, multiple)).toBe(rounded);
});
