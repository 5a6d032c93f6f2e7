import { expect, test } from 'vitest';
import { compressedExtent } from '../../../../src/l1l2/entry.js';
import { HostClusters } from '../../../../src/make/new/host-clusters.js';
import { compressedEntry, Packing } from '../../../../src/make/new/packing.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';

test('clusters follow each other, and one may lie across two', () => {
  const clusters = new HostClusters(geometryOf(9, 4, false), 1);
  const packing = new Packing(clusters, 512);
  expect([100, 300, 200, 424, 1].map((bytes) => packing.place(bytes))).toEqual([
    512, 612, 912, 1112, 1536,
  ]);
  expect([...clusters.counts]).toEqual([1, 3, 2, 1]);
});

test('after other data a cluster begins anew only where the rest is too short', () => {
  const clusters = new HostClusters(geometryOf(9, 4, false), 1);
  const packing = new Packing(clusters, 512);
  packing.place(400);
  clusters.append(1);
  expect(packing.place(100)).toBe(912);
  expect(packing.place(100)).toBe(3 * 512);
  expect([...clusters.counts]).toEqual([1, 2, 1, 1]);
});

test('a cluster at the highest count is full', () => {
  const clusters = new HostClusters(geometryOf(16, 1, false), 1);
  const packing = new Packing(clusters, 65_536);
  const places = [1, 2, 3, 4].map(() => packing.place(10));
  expect(places).toEqual([65_536, 65_546, 65_556, 131_072]);
});

test.each([9, 16, 21])('the entry leads to the bytes: clusters of 2^%d', (clusterBits) => {
  for (const [at, bytes] of [
    [1000, 100],
    [1023, 1],
    [1023, 2],
    [2 ** 40 + 511, 400],
  ] as const) {
    const [high, low] = compressedEntry(at, bytes, clusterBits);
    const extent = compressedExtent(high, low, clusterBits);
    expect(extent.at).toBe(at);
    const sectors = Math.floor((at + bytes - 1) / 512) - Math.floor(at / 512) + 1;
    expect(extent.sectorBytes).toBe(sectors * 512);
  }
});

test('past the last place that an entry has bits for', () => {
  expect(() => compressedEntry(2 ** 49 - 50, 100, 21)).toThrow(/would end at byte/);
  expect(compressedEntry(2 ** 49 - 100, 100, 21)).toHaveLength(2);
});
