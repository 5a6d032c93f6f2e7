import { expect, test } from 'vitest';
import { openGuestDisk, openImage, planCreate, planRename } from '../../../src/index.js';
import { openForReading, type ReadableImage } from '../../../src/image/open-for-reading.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { loadFixture } from '../../support/fixture.js';
import { layoutOf } from '../../support/image-builder.js';
import { putU32, putU64 } from '../../support/image-builder-layout.js';
import { recordingDevice } from '../../support/recording-device.js';

const FIXTURE = 'five-snapshots';
const { snapshotTableAt } = layoutOf(loadFixture(FIXTURE));

function opened(change: (bytes: Uint8Array) => unknown): Promise<ReadableImage> {
  const bytes = loadFixture(FIXTURE);
  const changed = change(bytes);
  return openForReading(memoryDevice(changed instanceof Uint8Array ? changed : bytes));
}

const missing = ({ unread }: ReadableImage) =>
  unread.map(({ structure, snapshot, reason }) => [structure, snapshot, reason.code]);

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as { code: unknown }).code,
  );

test('a whole image is what openImage gives, in as few reads', async () => {
  const recorder = recordingDevice(loadFixture(FIXTURE));
  const image = await openForReading(recorder);
  expect(recorder.log.filter(({ kind }) => kind === 'read').length).toBeLessThanOrEqual(3);
  const { snapshots, header } = await openImage(memoryDevice(loadFixture(FIXTURE)));
  expect(image).toMatchObject({ snapshots, header, unread: [] });
});

test('the entries before the first that is lost are read', async () => {
  const last = (await openImage(memoryDevice(loadFixture(FIXTURE)))).snapshots.at(-1)!;
  const end = last.at + 64 + last.idBytes.length + last.nameBytes.length;
  const cut = await opened((bytes) => bytes.slice(0, end - 1));
  expect(cut.snapshots).toHaveLength(4);
  expect(missing(cut)).toEqual([['snapshot table', 4, 'IMAGE_TRUNCATED']]);
  expect(cut.unread[0]!.reason.message).toBe(
    "snapshot table entry 4 of 5 reaches 1 byte past the end of the file: 1 snapshot can't be read",
  );
  const blank = await opened((bytes) => bytes.fill(0, snapshotTableAt + 80, last.at));
  expect(blank.snapshots).toHaveLength(1);
  expect(missing(blank)).toEqual([['snapshot table', 1, 'SNAPSHOT_TABLE_INVALID']]);
  const junk = await opened((bytes) => bytes.fill(0x41, snapshotTableAt));
  expect(junk.snapshots).toEqual([]);
  expect(missing(junk)).toEqual([['snapshot table', 0, 'SNAPSHOT_TABLE_INVALID']]);
});

test('a snapshot whose L1 table can be nowhere is listed, and its disk is not made of zeros', async () => {
  const image = await opened((bytes) => {
    putU64(bytes, snapshotTableAt, 0x200n);
  });
  expect(image.snapshots).toHaveLength(5);
  expect(missing(image)).toEqual([['snapshot', 0, 'SNAPSHOT_TABLE_INVALID']]);
  const [first, second] = image.snapshots;
  expect(await codeOf(openGuestDisk(image, { snapshot: first }))).toBe('SNAPSHOT_TABLE_INVALID');
  expect(await codeOf(openGuestDisk(image, { snapshot: second }))).toBe('done');
  expect(await codeOf(openGuestDisk(image))).toBe('done');
});

test.each([
  ['active L1', 40, 0x30008n],
  ['active L1', 40, 1n << 55n],
  ['refcount table', 48, 0n],
  ['refcount table', 48, 1n << 60n],
  ['snapshot table', 64, 0x101n],
])('%s: a place in the header where none can be (byte %i: %d)', async (structure, at, value) => {
  const image = await opened((bytes) => {
    putU64(bytes, at, value);
  });
  expect(image.unread.map((one) => one.structure)).toEqual([structure]);
  expect(image.snapshots).toHaveLength(structure === 'snapshot table' ? 0 : 5);
  const isDiskLost = structure === 'active L1';
  const active = await codeOf(openGuestDisk(image));
  expect(active !== 'done').toBe(isDiskLost);
});

test('more snapshots than there can be', async () => {
  const image = await opened((bytes) => {
    putU32(bytes, 60, 65_537);
  });
  expect(missing(image)).toEqual([['snapshot table', undefined, 'SNAPSHOT_TABLE_INVALID']]);
});

test('junk in the extensions or in the bitmap directory', async () => {
  const extensions = await opened((bytes) => {
    putU32(bytes, 116, 0x7fff_ffff);
  });
  expect(missing(extensions)).toEqual([['header extensions', undefined, 'EXTENSION_INVALID']]);
  expect(extensions.snapshots).toHaveLength(5);
  const bitmaps = await opened((bytes) => {
    bytes[95] = 1;
  });
  expect(missing(bitmaps)).toEqual([['bitmap directory', undefined, 'EXTENSION_INVALID']]);
});

test('what is no image, or can not be read, is still an error', async () => {
  expect(await codeOf(opened((bytes) => bytes.fill(0, 0, 4)))).toBe('NOT_QCOW2');
  expect(await codeOf(opened((bytes) => bytes.fill(0xff, 20, 24)))).toBe('HEADER_INVALID');
});

test('no edit takes an image of which something is missing', async () => {
  const image = await opened((bytes) => bytes.fill(0x41, snapshotTableAt));
  const date = { seconds: 0, nanoseconds: 0 };
  expect(await codeOf(planCreate(image, { name: 'n', date }))).toBe('SNAPSHOT_TABLE_INVALID');
  const part = await opened((bytes) => bytes.fill(0, snapshotTableAt + 80, snapshotTableAt + 200));
  expect(await codeOf(planRename(part, part.snapshots[0]!, 'n'))).toBe('SNAPSHOT_TABLE_INVALID');
});
