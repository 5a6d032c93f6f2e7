/**
 * What makes something new wrote over whatever device it got, the image that was being read among them: each of these
 * calls ended well, and the image was gone.
 */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  chooseRescued,
  compactImage,
  createImage,
  memoryDevice,
  newQcow2Writer,
  newRawWriter,
  openImage,
  planRescue,
  proposeRepair,
  saveUndo,
  writeRescued,
  type BlockDevice,
  type BlockSource,
} from '../../../../src/index.js';
import { newSha256, openFile, openFileForEdit } from '../../../../src/node/index.js';
import { copyFixture, loadFixture } from '../../../support/fixture.js';
import { memoryDirectory } from '../../../support/directories.js';
import { PLAIN } from '../../../support/new-image.js';

const about = { image: 'disk.qcow2', operation: 'repair' };
const plannedRepair = async (device: BlockSource) =>
  (await proposeRepair(device, () => ({ classes: ['all'] }))).plan!;

/** Each writes something new to `file`; those that read read `image`. */
const MAKERS: Readonly<
  Record<string, (file: BlockDevice, image: BlockSource) => Promise<unknown>>
> = {
  newQcow2Writer: (file) => newQcow2Writer(file, PLAIN),
  newRawWriter: (file) => newRawWriter(file, 4096),
  createImage: (file) => createImage(file, PLAIN),
  saveUndo: async (file, image) =>
    saveUndo(image, await plannedRepair(image), file, newSha256, about),
  writeRescued: async (file, image) => {
    const plan = await planRescue(image);
    return writeRescued(plan, chooseRescued(plan), file);
  },
  compactImage: async (file, image) => compactImage(await openImage(image), file),
};
const READERS = ['saveUndo', 'writeRescued', 'compactImage'];

const bytes = loadFixture('refcount-too-low');

describe.each(Object.entries(MAKERS))('%s', (_, make) => {
  test('refuses a file that holds something, and leaves it as it is', async () => {
    const used = memoryDevice(new Uint8Array(700).fill(7), 'used');
    await expect(make(used, memoryDevice(bytes.slice()))).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining('used has 700 bytes') as string,
      details: { actual: '700 bytes', expected: '0 bytes' },
    });
    expect(used.snapshotBytes()).toEqual(new Uint8Array(700).fill(7));
  });

  test('takes an empty file', async () => {
    await make(memoryDevice(), memoryDevice(bytes.slice()));
  });
});

test.each(['newQcow2Writer', 'newRawWriter', 'createImage'])(
  '%s takes a block device',
  async (name) => {
    const disk = memoryDevice(new Uint8Array(2 ** 22).fill(7), 'disk', { growable: false });
    await MAKERS[name]!(disk, disk);
  },
);

test.each(READERS)('%s refuses the image under another descriptor', async (name) => {
  const path = copyFixture('refcount-too-low', memoryDirectory());
  const before = readFileSync(path);
  const file = await openFileForEdit(path);
  const source = await openFile(join(path, '..', 'refcount-too-low.qcow2'), { forceShare: true });
  try {
    await expect(MAKERS[name]!(file, source)).rejects.toMatchObject({ code: 'OUTPUT_IS_INPUT' });
  } finally {
    await source.close();
    await file.close();
  }
  expect(Buffer.compare(readFileSync(path), before)).toBe(0);
});

test.each(READERS)('%s refuses what is read', async (name) => {
  // With room for the new tables, where it can't get longer.
  const own = memoryDevice(Buffer.concat([bytes, new Uint8Array(2 ** 20)]), 'disk', {
    growable: false,
  });
  const before = own.snapshotBytes();
  await expect(MAKERS[name]!(own, own)).rejects.toMatchObject({ code: 'OUTPUT_IS_INPUT' });
  expect(Buffer.compare(own.snapshotBytes(), before)).toBe(0);
});
