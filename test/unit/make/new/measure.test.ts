import { expect, test } from 'vitest';
import { measureQcow2 } from '../../../../src/index.js';
import { measureBitmaps, measuredDataBytes } from '../../../../src/internal.js';

const PLAIN = {
  clusterBytes: 65_536,
  refcountBits: 16,
  extendedL2: false,
  preallocation: 'off',
} as const;

test('as qemu-img measured', () => {
  expect(measureQcow2(2 ** 30, 0, PLAIN)).toEqual({
    required: 393_216,
    fullyAllocated: 1_074_135_040,
  });
  expect(measureQcow2(0, 0, PLAIN)).toEqual({ required: 196_608, fullyAllocated: 196_608 });
  const full = measureQcow2(2 ** 30, 0, { ...PLAIN, preallocation: 'full' });
  expect(full.required).toBe(full.fullyAllocated);
});

test('no image holds such a disk', () => {
  expect(() => measureQcow2(2 ** 50, 0, { ...PLAIN, clusterBytes: 512 })).toThrow(/too large/);
});

test('a cluster that two stretches touch counts once', async () => {
  const batches = [
    [{ start: 0, length: 100, kind: 'data' }],
    [
      { start: 100, length: 900, kind: 'zero' },
      { start: 1000, length: 24, kind: 'compressed' },
      { start: 1024, length: 1, kind: 'data' },
    ],
  ];
  const extents = (async function* () {
    for (const batch of batches) yield await Promise.resolve(batch);
  })();
  expect(await measuredDataBytes(extents, 1024)).toBe(2048);
});

test('bitmaps: bits, table and directory in clusters', () => {
  const bitmap = { nameBytes: new Uint8Array(5), granularityBytes: 65_536 };
  expect(measureBitmaps([], 2 ** 30, 65_536)).toBe(0);
  expect(measureBitmaps([bitmap], 2 ** 30, 65_536)).toBe(3 * 65_536);
});
