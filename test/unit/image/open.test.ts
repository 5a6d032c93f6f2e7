import { expect, test } from 'vitest';
import { backingFormat, backingName, dataFileName, openImage } from '../../../src/index.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { loadFixture } from '../../support/fixture.js';
import { recordingDevice } from '../../support/recording-device.js';

const opened = (name: string) => openImage(memoryDevice(loadFixture(name)));

async function codeOf(bytes: Uint8Array): Promise<unknown> {
  return openImage(memoryDevice(bytes)).then(
    () => 'done',
    (error: unknown) => (error as { code: unknown }).code,
  );
}

test('H7: names that the image holds are given, not opened', async () => {
  const backing = await opened('backing');
  expect([backingName(backing), backingFormat(backing)]).toEqual(['base.raw', 'raw']);
  expect(backingName(await opened('version-3'))).toBeUndefined();
  expect(dataFileName(await opened('data-file'))).toBe('guest.data');
});

test('a common image takes three reads at most, and none of its bytes change', async () => {
  const recorder = recordingDevice(loadFixture('five-snapshots'));
  await openImage(recorder);
  const kinds = recorder.log.map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === 'read').length).toBeLessThanOrEqual(3);
  expect(kinds.filter((kind) => kind !== 'read')).toEqual([]);
});

test('S8: a snapshot table of several reads is read to its end', async () => {
  expect((await opened('snapshots-300')).snapshots).toHaveLength(300);
});

test('S8: a table past the end of the file, or cut by it', async () => {
  const image = await opened('five-snapshots');
  const bytes = loadFixture('five-snapshots');
  const { at } = image.header.snapshotTable;
  expect(await codeOf(bytes.subarray(0, at))).toBe('IMAGE_TRUNCATED');
  expect(await codeOf(bytes.subarray(0, at + 100))).toBe('IMAGE_TRUNCATED');
});

test('R10: the bitmap directory is read, unless nobody trusts it', async () => {
  expect((await opened('bitmaps')).bitmaps.length).toBeGreaterThan(0);
  expect((await opened('bitmaps-autoclear-off')).bitmaps).toEqual([]);
});

test('the bitmaps bit without bitmaps: there are none', async () => {
  const bytes = loadFixture('version-3');
  bytes[95] = 1;
  expect((await openImage(memoryDevice(bytes))).bitmaps).toEqual([]);
});
