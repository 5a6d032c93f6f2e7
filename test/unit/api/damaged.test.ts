import { expect, test } from 'vitest';
import { memoryDevice, openQcow } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';
import { layoutOf } from '../../support/image-builder.js';
import { namesOf } from './images.js';

/** Claims one snapshot more than the table has room for. */
function withLostSnapshot(): Uint8Array {
  const bytes = loadFixture('five-snapshots');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(60, view.getUint32(60) + 60_000);
  return bytes;
}

test('a lost part of the snapshot table: said by whoever needs it, and by nobody else', async () => {
  const image = await openQcow(memoryDevice(withLostSnapshot()));
  expect(image.unread.map(({ structure }) => structure)).toEqual(['snapshot table']);
  const { reason } = image.unread[0]!;
  expect(() => namesOf(image)).toThrow(reason);
  await expect(image.disk('nobody')).rejects.toBe(reason);
  await expect(image.owners().next()).rejects.toBe(reason);
  await expect(image.unsavedChanges()).rejects.toBe(reason);
  await expect(image.create('x')).rejects.toMatchObject({ kind: 'image' });
  // What can be read is there.
  expect((await (await image.disk()).read(0, 512)).length).toBe(512);
  expect((await (await image.disk('#0')).read(0, 512)).length).toBe(512);
  expect((await image.check()).exitCode).not.toBe(0);
});

test('an image that can no longer be read after an edit: it was done, and the next call says why', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const image = await openQcow(device);
  const readBatch = device.readBatch.bind(device);
  const punchBatch = device.punchBatch.bind(device);
  // The last step of an edit.
  device.punchBatch = async (ranges) => {
    const bytes = await punchBatch(ranges);
    device.readBatch = () => Promise.reject(new Error('the cable is out'));
    return bytes;
  };
  await expect(image.create('x')).rejects.toThrow('the cable is out');
  device.readBatch = readBatch;
  device.punchBatch = punchBatch;
  expect((await image.disk('x')).snapshot!.name).toBe('x');
  expect(layoutOf(device.snapshotBytes()).diskSizeBytes).toBe(image.diskSizeBytes);
  expect((await image.check()).findings).toEqual([]);
});
