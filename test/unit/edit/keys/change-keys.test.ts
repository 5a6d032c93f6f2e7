import { expect, test } from 'vitest';
import { changeKeys } from '../../../../src/edit/keys/change-keys.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { readLuks } from '../../../../src/read/guest/luks-keys.js';
import { luksImage } from '../../../support/luks.js';
import { recordingDevice } from '../../../support/recording-device.js';

const bytes = new Uint8Array(512).fill(7);

test('each step is flushed before the next one begins', async () => {
  const device = recordingDevice(await luksImage());
  const image = await openImage(device);
  const { at } = await readLuks(image);
  const from = device.log.length;
  await changeKeys(image, [[{ at: at + 4096, bytes }], [{ at: at + 8192, bytes }]]);
  const kinds = device.log.slice(from).flatMap(({ kind }) => (kind === 'read' ? [] : [kind]));
  expect(kinds).toEqual(['write', 'flush', 'write', 'flush', 'write', 'flush']);
});

test('an image that was edited since is left as it is, and so is one with damage', async () => {
  const device = memoryDevice(await luksImage());
  const image = await openImage(device);
  const { at } = await readLuks(image);
  await changeKeys(image, [[{ at: at + 4096, bytes }]]);
  await expect(changeKeys(image, [[{ at: at + 4096, bytes }]])).rejects.toMatchObject({
    code: 'IMAGE_CHANGED',
  });
  const damaged = device.snapshotBytes();
  // The clusters of the LUKS header count as free.
  const { header, geometry } = image;
  const block = header.refcountTable.at + geometry.clusterBytes;
  damaged.fill(
    0,
    block + (2 * at) / geometry.clusterBytes,
    block + (2 * at) / geometry.clusterBytes + 2,
  );
  const other = await openImage(memoryDevice(damaged));
  await expect(changeKeys(other, [[{ at: at + 4096, bytes }]])).rejects.toMatchObject({
    code: 'IMAGE_DAMAGED',
    details: { imageState: 'unchanged' },
  });
});
