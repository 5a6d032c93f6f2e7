import { expect, test } from 'vitest';
import { NewL2Table } from '../../../../src/make/new/new-l2-table.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';

const CLUSTER = 16384;
const SUB = CLUSTER / 32;
const extended = (): NewL2Table => new NewL2Table(geometryOf(14, 4, true));
const plain = (): NewL2Table => new NewL2Table(geometryOf(14, 4, false));

const bitmap = ({ words }: NewL2Table, cluster: number) => ({
  zeros: words[4 * cluster + 2],
  allocated: words[4 * cluster + 3],
});

test('entries of both sizes: where a cluster lies, also past 4 GiB', () => {
  for (const [table, entryWords] of [
    [plain(), 2],
    [extended(), 4],
  ] as const) {
    table.map(3, 2, 2 ** 32 - CLUSTER);
    expect([2, 3, 4, 5].map((cluster) => table.hostOf(cluster))).toEqual([
      0,
      2 ** 32 - CLUSTER,
      2 ** 32,
      0,
    ]);
    expect(table.words[3 * entryWords]).toBe(0x8000_0000);
    expect(table.words[4 * entryWords]).toBe(0x8000_0001);
    table.clear();
    expect(table.words.every((word) => word === 0)).toBe(true);
  }
});

test('bits at the ends of a cluster, and over several', () => {
  const table = extended();
  expect(table.unitBytes).toBe(SUB);
  table.markData(0, SUB);
  table.markData(31 * SUB, CLUSTER);
  table.markZeros(SUB, 3 * SUB);
  expect(bitmap(table, 0)).toEqual({ zeros: 0b110, allocated: 0x8000_0001 });
  table.markData(CLUSTER + 30 * SUB, 3 * CLUSTER + 2 * SUB);
  expect(bitmap(table, 1)).toEqual({ zeros: 0, allocated: 0xc000_0000 });
  expect(bitmap(table, 2)).toEqual({ zeros: 0, allocated: 0xffff_ffff });
  expect(bitmap(table, 3)).toEqual({ zeros: 0, allocated: 0b11 });
});

test('a stretch that ends inside a subcluster has all of it', () => {
  const table = extended();
  table.markData(0, SUB + 1);
  expect(bitmap(table, 0).allocated).toBe(0b11);
});

test('without subclusters zeros are a flag, which is not a place', () => {
  const table = plain();
  expect(table.unitBytes).toBe(CLUSTER);
  table.markZeros(CLUSTER, 3 * CLUSTER);
  table.map(3, 1, CLUSTER);
  table.markData(3 * CLUSTER, 4 * CLUSTER);
  expect([...table.words.subarray(0, 10)]).toEqual([0, 0, 0, 1, 0, 1, 0x8000_0000, 0x4000, 0, 0]);
  expect(table.hostOf(1)).toBe(0);
});

test('a compressed cluster has no subclusters', () => {
  const table = extended();
  table.setCompressed(2, [0x4000_0000, 77]);
  expect([...table.words.subarray(8, 12)]).toEqual([0x4000_0000, 77, 0, 0]);
});
