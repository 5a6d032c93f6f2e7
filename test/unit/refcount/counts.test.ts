import { expect, test } from 'vitest';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { newCounts } from '../../../src/refcount/counts.js';

test.each([
  [0, 1, 2],
  [1, 3, 2],
  [2, 15, 2],
  [3, 255, 2],
  [4, 65_535, 2],
  [5, 4_294_967_295, 4],
  [6, 4_294_967_295, 4],
])('R1: refcount_order %d counts to %d in %d bytes', (order, max, bytes) => {
  const counts = newCounts(10, geometryOf(16, order, false));
  expect(counts.max).toBe(max);
  expect(counts.values).toHaveLength(10);
  expect(counts.values.BYTES_PER_ELEMENT).toBe(bytes);
  counts.values[3] = max;
  expect(counts.values[3]).toBe(max);
});

test.each([
  [9, 6, 64],
  [16, 4, 32_768],
  [21, 0, 16_777_216],
])('clusters of 2^%d, order %d: a block counts %d clusters', (bits, order, entries) => {
  const { blockShift } = newCounts(1, geometryOf(bits, order, false));
  expect((entries - 1) >>> blockShift).toBe(0);
  expect(entries >>> blockShift).toBe(1);
});
