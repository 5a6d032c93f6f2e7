import { expect, test } from 'vitest';
import { checkImage, createImage, openImage } from '../../../../src/index.js';
import { checkCreateOptions } from '../../../../src/make/new/create-options.js';
import { PLAIN } from '../../../support/new-image.js';
import { crashStates, recordingDevice } from '../../../support/recording-device.js';

test.each(['off', 'metadata', 'falloc', 'full'] as const)(
  'preallocation %s: sound',
  async (preallocation) => {
    const device = recordingDevice();
    await createImage(device, { ...PLAIN, preallocation });
    expect((await checkImage(device)).findings).toEqual([]);
    expect((await openImage(device)).header.diskSizeBytes).toBe(PLAIN.diskSizeBytes);
  },
);

test('a power cut leaves no image, or the whole one', async () => {
  const device = recordingDevice();
  await createImage(device, {
    ...PLAIN,
    clusterBytes: 512,
    preallocation: 'metadata',
    diskSizeBytes: 40_960,
  });
  const whole = device.snapshotBytes();
  for (const { bytes, description } of crashStates(device.log, new Uint8Array(0), { seed: 7 })) {
    const isImage = Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'QFI\xfb';
    if (isImage) expect(Buffer.from(bytes).equals(whole), description).toBe(true);
  }
});

const name = new TextEncoder().encode('name');
test.each([
  [{ version: 2 as const, dataFile: { name, raw: false } }, 'data file'],
  [{ dataFile: { name, raw: true }, backing: { name, format: 'raw' } }, 'data file'],
  [{ backing: { name, format: 'raw' }, preallocation: 'full' as const }, 'preallocation'],
  [{ backing: { name: new Uint8Array(1024), format: 'raw' } }, 'backing file name'],
  [
    { clusterBytes: 512, backing: { name: new Uint8Array(500), format: 'raw' } },
    'backing file name',
  ],
])('refused: %#', (changes, structure) => {
  let thrown: unknown;
  try {
    checkCreateOptions({ ...PLAIN, ...changes });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'NEW_IMAGE_INVALID', details: { structure } });
});
