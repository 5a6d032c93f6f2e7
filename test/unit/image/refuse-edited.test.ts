import { expect, test } from 'vitest';
import { openGuestDisk } from '../../../src/read/guest/open-guest-disk.js';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { planCreate } from '../../../src/edit/snapshot/create.js';
import { planDelete } from '../../../src/edit/snapshot/delete.js';
import { executePlan } from '../../../src/edit/tx/execute.js';
import { checkPlain } from '../../support/crash-judge.js';
import { loadFixture } from '../../support/fixture.js';

const CHANGED = { code: 'IMAGE_CHANGED', message: 'the image was edited after it was opened' };

test('an image that was opened before an edit plans no other, and its disks are not read', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const image = await openImage(device);
  const disk = await openGuestDisk(image, { snapshot: image.snapshots[1]! });
  const into = new Uint8Array(512);
  await disk.readBatch([{ at: 0, into }]);
  await executePlan(await planDelete(image, image.snapshots.slice(1, 2)));

  const date = { seconds: 0, nanoseconds: 0 };
  await expect(planCreate(image, { name: 'new', date })).rejects.toMatchObject(CHANGED);
  await expect(planDelete(image, image.snapshots.slice(2))).rejects.toMatchObject(CHANGED);
  await expect(openGuestDisk(image)).rejects.toMatchObject(CHANGED);
  await expect(disk.readBatch([{ at: 0, into }])).rejects.toMatchObject(CHANGED);
  expect(() => disk.extents(0, 512)).toThrow(expect.objectContaining(CHANGED) as Error);
  await (await openGuestDisk(await openImage(device))).readBatch([{ at: 0, into }]);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});
