import { expect, test } from 'vitest';
import { computeUnsavedChanges, planCreate, snapshotsEqualToActive } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';
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
