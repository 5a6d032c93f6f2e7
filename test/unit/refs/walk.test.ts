import { expect, test } from 'vitest';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { disksOf, walkL1Tables, walkReferences } from '../../../src/refs/walk.js';
import { planCreate } from '../../../src/edit/snapshot/create.js';
import { executePlan } from '../../../src/edit/tx/execute.js';
import { checkPlain } from '../../support/crash-judge.js';
import { loadFixture } from '../../support/fixture.js';
import { recordingDevice } from '../../support/recording-device.js';

test('the active disk comes first, then the snapshots, each with its own L1', async () => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const disks = disksOf(image);
  expect(disks.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(disks.map(({ l1 }) => l1)).toEqual([
    image.header.activeL1,
    ...image.snapshots.map(({ l1 }) => l1),
  ]);
});

test('a table that many L1s share is read once, and is said to be all of theirs', async () => {
  const device = recordingDevice(loadFixture('five-snapshots'));
  const date = { seconds: 0, nanoseconds: 0 };
  await executePlan(await planCreate(await openImage(device), { name: 'shares all', date }));
  const image = await openImage(device);
  const pointers = await walkL1Tables(image, disksOf(image));
  const shared = [...pointers.sets].filter((set) => pointers.disks.disksOf(set).length > 1);
  expect(shared.length).toBeGreaterThan(0);
  const before = device.log.length;
  const seen: number[] = [];
  await walkReferences(image, pointers, { l2Table: (index) => seen.push(index) });
  expect(seen).toEqual([...pointers.offsets.keys()]);
  const bytes = device.log.slice(before).map((entry) => (entry.kind === 'read' ? entry.length : 0));
  const { clusterBytes } = image.geometry;
  expect(bytes.reduce((sum, length) => sum + length, 0)).toBe(seen.length * clusterBytes);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('pointers that a visitor does not add are not followed, and tables may be read in any order', async () => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const active = await walkL1Tables(image, disksOf(image), ({ number }, words, to) => {
    if (number === 0) to.addTable(number, words);
  });
  const all = await walkL1Tables(image, disksOf(image));
  expect(active.offsets.length).toBeLessThan(all.offsets.length);
  const order = Int32Array.from(all.offsets.keys()).reverse();
  const seen: [number, number][] = [];
  await walkReferences(
    image,
    { offsets: all.offsets, order },
    { l2Table: (index, _, before) => seen.push([index, before]) },
  );
  expect(seen).toEqual(Array.from(order, (index, before) => [index, before]));
});

test('entries of bitmap tables come after the L2 tables', async () => {
  const image = await openImage(memoryDevice(loadFixture('bitmaps-snapshots')));
  const pointers = await walkL1Tables(image, disksOf(image));
  const told: string[] = [];
  await walkReferences(image, pointers, {
    l2Table: () => told.push('table'),
    bitmapEntry: (high, low, at, { name, table }) => {
      expect((high | low) !== 0 && at >= table.at && at < table.at + table.entries * 8).toBe(true);
      expect(name).not.toBe('');
      told.push('bitmap');
    },
  });
  expect(told.indexOf('bitmap')).toBe(pointers.offsets.length);
});
