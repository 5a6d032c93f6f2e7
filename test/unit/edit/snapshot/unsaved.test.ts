import { expect, test } from 'vitest';
import {
  computeUnsavedChanges,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  snapshotsEqualToActive,
  type OpenImage,
} from '../../../../src/index.js';
import { placeOfActive } from '../../../../src/edit/snapshot/unsaved.js';
import { loadFixture } from '../../../support/fixture.js';
import { recordingDevice } from '../../../support/recording-device.js';
import { DATE, edited, imageWith, opened, written } from './edited.js';

/** Two snapshots; the disk is as in the second. */
async function twoSnapshots(): Promise<Uint8Array> {
  let bytes = await edited(imageWith({ 0: 1 }), (it) => planCreate(it, { name: 'a', date: DATE }));
  bytes = written(written(bytes, 1, 2), 2, 2);
  return edited(bytes, (image) => planCreate(image, { name: 'b', date: DATE }));
}

test('the snapshot that was taken last equals the disk until something is written', async () => {
  const bytes = await twoSnapshots();
  const image = await opened(bytes);
  expect([...(await snapshotsEqualToActive(image))]).toEqual([1]);
  expect(await computeUnsavedChanges(image)).toBeUndefined();
  const since = await opened(written(bytes, 5, 9));
  expect([...(await snapshotsEqualToActive(since))]).toEqual([]);
});

test('changes are counted against the nearest snapshot, in guest clusters', async () => {
  const since = await opened(written(written(await twoSnapshots(), 5, 9), 6, 9));
  expect(await computeUnsavedChanges(since)).toMatchObject({
    nearest: { name: 'b' },
    guestClusters: 2,
    guestBytes: 8192,
    diskSizeDiffers: false,
  });
});

test('A3: another disk size is a change, even of an empty disk', async () => {
  const image = await opened(await twoSnapshots());
  const [, second] = image.snapshots;
  const smaller = { ...image, snapshots: [{ ...second!, index: 0, diskSizeBytes: 32 * 4096 }] };
  expect(await computeUnsavedChanges(smaller)).toMatchObject({
    guestClusters: 0,
    diskSizeDiffers: true,
  });
});

test('an image without snapshots has nothing to compare with', async () => {
  expect(await computeUnsavedChanges(await opened(imageWith({ 0: 1 })))).toBeUndefined();
});

test('A2: VM state behind the disk does not count', async () => {
  const image = await opened(loadFixture('vm-state'));
  const unsaved = await computeUnsavedChanges(image);
  expect(unsaved?.guestBytes ?? 0).toBeLessThanOrEqual(image.header.diskSizeBytes);
});

/** 40 L2 tables of one cluster each, all of them other ones in each of three snapshots. */
async function manyTables(): Promise<Uint8Array> {
  const perTable = 64;
  const cells = Array.from({ length: 40 }, (_, table) => table * perTable);
  const fills = (fill: number) => Object.fromEntries(cells.map((cell) => [cell, fill]));
  let bytes = imageWith(fills(1), { clusterBits: 9, diskSizeBytes: 40 * perTable * 512 });
  for (const name of ['a', 'b', 'c']) {
    bytes = await edited(bytes, (image) => planCreate(image, { name, date: DATE }));
    for (const cell of cells) bytes = written(bytes, cell, name.charCodeAt(0));
  }
  return bytes;
}

/** The image, opened, and a count of the bytes that are read of it from now on. */
async function counted(bytes: Uint8Array): Promise<{ image: OpenImage; readBytes: () => number }> {
  const device = recordingDevice(bytes);
  const image = await openImage(device);
  const read = (): number => {
    return device.log.reduce((sum, entry) => sum + (entry.kind === 'read' ? entry.length : 0), 0);
  };
  const before = read();
  return { image, readBytes: () => read() - before };
}

test('a snapshot that differs in its first table is looked at no further', async () => {
  const { image, readBytes } = await counted(await manyTables());
  expect([...(await snapshotsEqualToActive(image))]).toEqual([]);
  const l1Bytes = 4 * 40 * 8;
  expect(readBytes() - l1Bytes).toBe(3 * 2 * 512);
});

test('a disk that is equal in other tables is found, and one that differs in the last alone is not', async () => {
  const bytes = await manyTables();
  const { l1 } = (await opened(bytes)).snapshots[2]!;
  const device = memoryDevice(bytes);
  // A table of the last snapshot gets the entries of the active one; a COPIED flag is no difference.
  const table = async (l1At: number, index: number): Promise<number> => {
    const entry = new Uint8Array(8);
    await device.readBatch([{ at: l1At + index * 8, into: entry }]);
    return Number(new DataView(entry.buffer).getBigUint64(0) & 0x00ff_ffff_ffff_fe00n);
  };
  const { activeL1 } = (await opened(bytes)).header;
  const copy = async (index: number): Promise<void> => {
    const into = new Uint8Array(512);
    await device.readBatch([{ at: await table(activeL1.at, index), into }]);
    into[0]! ^= 0x80;
    await device.writeBatch([{ at: await table(l1.at, index), bytes: into }]);
  };
  for (let index = 0; index < 39; index++) await copy(index);
  const almost = await openImage(device);
  expect([...(await snapshotsEqualToActive(almost))]).toEqual([]);
  expect(await computeUnsavedChanges(almost)).toMatchObject({
    nearest: { name: 'c' },
    guestClusters: 1,
  });
  await copy(39);
  const equal = await openImage(device);
  expect([...(await snapshotsEqualToActive(equal))]).toEqual([2]);
  expect(await computeUnsavedChanges(equal)).toBeUndefined();
});

test('clusters as long as a batch of tables: each table is held against its own', async () => {
  const perTable = 2 ** 18;
  const options = { clusterBits: 21, diskSizeBytes: 2 * perTable * 2 ** 21 };
  let bytes = imageWith({ 0: 1, [perTable]: 1 }, options);
  bytes = await edited(bytes, (image) => planCreate(image, { name: 'a', date: DATE }));
  for (const cell of [0, 1, 2, perTable]) bytes = written(bytes, cell, 2);
  expect(await computeUnsavedChanges(await opened(bytes))).toMatchObject({ guestClusters: 4 });
});

test('the active disk grew from no snapshot that shares nothing with it', async () => {
  let bytes = await edited(imageWith({ 0: 1 }), (it) => planCreate(it, { name: 'g', date: DATE }));
  bytes = written(bytes, 0, 2);
  bytes = await edited(bytes, (it) => planCreate(it, { name: 'h', date: DATE }));
  bytes = await edited(bytes, (it) => planApply(it, it.snapshots[0]!, {}));
  bytes = await edited(bytes, (it) => planDelete(it, [it.snapshots[0]!]));
  const image = await opened(bytes);
  expect(image.snapshots.map(({ name }) => name)).toEqual(['h']);
  expect(await placeOfActive(image, Infinity)).toEqual({ equal: new Set(), grewFrom: undefined });
});

test('the active disk grew from the snapshot that shares a cluster with it, if not a table', async () => {
  let bytes = await edited(imageWith({ 0: 1, 1: 1 }), (it) =>
    planCreate(it, { name: 'g', date: DATE }),
  );
  bytes = written(bytes, 0, 2);
  const { grewFrom } = await placeOfActive(await opened(bytes), Infinity);
  expect(grewFrom?.nearest.name).toBe('g');
  expect(grewFrom?.guestClusters).toBe(1);
});
