import { expect, test } from 'vitest';
import { filledClusters } from '../../../../src/edit/plan/filled.js';
import {
  bytesOfZeros,
  literalsInPlace,
  partsToWrite,
} from '../../../../src/edit/plan/in-place-writes.js';
import { memoryDevice } from '../../../../src/index.js';
import { ClusterSet } from '../../../../src/refcount/cluster-set.js';

const table = (...sectors: number[]): Uint8Array =>
  Uint8Array.from(sectors.flatMap((byte) => Array.from({ length: 512 }, () => byte)));

test('from the first sector that changes to the last, without zeros that stay', () => {
  expect(partsToWrite(table(1, 2, 3), table(1, 2, 3))).toEqual([]);
  expect(partsToWrite(table(1, 2, 3, 4), table(1, 9, 9, 4))).toEqual([{ at: 512, length: 1024 }]);
  expect(partsToWrite(table(1, 2, 0, 4), table(9, 2, 0, 9))).toEqual([
    { at: 0, length: 1024 },
    { at: 1536, length: 512 },
  ]);
});

test('what is no whole sector at the end is written as long as it is', () => {
  const before = table(1, 2).subarray(0, 700);
  const after = before.slice();
  after[699] = 9;
  expect(literalsInPlace('active L1', 4096, before, after)).toEqual([
    { kind: 'literal', what: 'active L1', at: 4096 + 512, bytes: after.subarray(512) },
  ]);
});

test('a sector of zeros that gets other bytes may be a hole', () => {
  expect(bytesOfZeros(table(1, 0, 2), table(9, 0, 9))).toBe(0);
  expect(bytesOfZeros(table(1, 0, 2), table(9, 1, 9))).toBe(4096);
});

test('a cluster is filled where no sector of it has zeros alone', async () => {
  const source = memoryDevice(table(1, 1, 0, 1, 1, 0, 1, 2, 3, 3));
  const all = new ClusterSet(6);
  all.addRange(0, 6);
  const found = await filledClusters(source, all, 1024, 6);
  expect([0, 1, 2, 3, 4, 5].filter((cluster) => found.has(cluster))).toEqual([0, 3, 4]);
  const enough = await filledClusters(source, all, 1024, 2);
  expect([0, 1, 2, 3, 4, 5].filter((cluster) => enough.has(cluster))).toEqual([0, 3]);
});
