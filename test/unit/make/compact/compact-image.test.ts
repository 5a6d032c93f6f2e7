/**
 * Images in memory, made compact in every way. A plain reader that shares no code with the engine reads the disks before
 * and after.
 */
import { expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { openImage } from '../../../../src/image/open.js';
import type { BlockDevice } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { compactImage } from '../../../../src/make/compact/compact-image.js';
import type { CompactOptions } from '../../../../src/make/compact/compact-options.js';
import {
  compacted,
  contentsOf,
  expectSame,
  randomImage,
  randomOptions,
} from '../../../support/compact-images.js';
import { PLATFORM } from '../../../support/compacted.js';
import { loadFixture } from '../../../support/fixture.js';
import {
  buildImage,
  checkImage,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  layoutOf,
  snapshotsOf,
} from '../../../support/image-builder.js';
import { randomFrom, roundsOf, seedOf } from '../../../support/model-random.js';
import { withSnapshot } from '../../../support/rescued.js';

/** The same bytes at cells 0 to 9 in the active disk and a snapshot, in clusters of their own. */
async function twice(): Promise<Uint8Array> {
  const disk = { bytes: buildImage() };
  for (let cell = 0; cell < 10; cell++) guestWrite(disk, cell, cell + 1);
  disk.bytes = await withSnapshot(disk.bytes, 'before');
  for (let cell = 0; cell < 10; cell++) guestWrite(disk, cell, cell < 7 ? cell + 1 : 99);
  return disk.bytes;
}

/** What an error of the engine is called. */
async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return isQsnapError(error) ? error.code : String(error);
}

test('what disks share is shared, tables and data lie in guest order, and nothing else is there', async () => {
  const disk = { bytes: buildImage() };
  for (const cell of [9, 3, 5, 1]) guestWrite(disk, cell, cell);
  disk.bytes = await withSnapshot(disk.bytes, 'before');
  guestWrite(disk, 3, 77);
  const { made, report } = await compacted(disk.bytes);
  expectSame(made, disk.bytes);
  // Header, two L1 tables, snapshot table; 4 clusters, a table, the one that only the snapshot has, its table; refcounts.
  expect(made.length / 4096).toBe(4 + 4 + 1 + 1 + 1 + 2);
  expect(report.readBytes).toBe(5 * 4096);
  expect([4, 5, 6, 7].map((cluster) => made[cluster * 4096])).toEqual([1, 77, 5, 9]);
});

test('snapshots that are not chosen leave nothing behind', async () => {
  const bytes = await withSnapshot(await twice(), 'second');
  const { snapshots } = await openImage(memoryDevice(bytes));
  const none = await compacted(bytes, { snapshots: [] });
  expect(checkImage(none.made)).toEqual({ corruptions: [], leaks: [] });
  expect(contentsOf(none.made)).toEqual([contentsOf(bytes)[0]]);
  // The order is that of the table.
  const both = await compacted(bytes, { snapshots: [snapshots[1]!, snapshots[0]!] });
  expectSame(both.made, bytes);
  const second = await compacted(bytes, { snapshots: [snapshots[1]!] });
  expect(snapshotsOf(second.made).snapshots.map(({ name }) => name)).toEqual(['second']);
  expect(second.made.length).toBeLessThan(both.made.length);
});

test.each([undefined, 1024, 8192])(
  'equal clusters become one, with clusters of %s bytes',
  async (clusterBytes) => {
    const bytes = await twice();
    const plain = await compacted(bytes, { clusterBytes });
    const { made, report } = await compacted(bytes, { clusterBytes, dedupe: true });
    expectSame(made, bytes);
    // Of 8192 bytes one has an equal and a different half.
    const equal = { 1024: 28, 8192: 3 }[clusterBytes ?? 0] ?? 7;
    expect(report.dedupedClusters).toBe(equal);
    expect(plain.made.length - made.length).toBe(equal * (clusterBytes ?? 4096));
  },
);

test.each([undefined, 1024, 8192])(
  'clusters of zeros are left out, with clusters of %s bytes',
  async (clusterBytes) => {
    const disk = { bytes: buildImage() };
    for (let cell = 0; cell < 10; cell++) guestWrite(disk, cell, cell < 6 ? 0 : cell);
    guestWriteCompressed(disk, 20, new Uint8Array([0, 5]));
    guestZero(disk, 12, false);
    const { made, report } = await compacted(disk.bytes, { clusterBytes, dropZeros: true });
    expectSame(made, disk.bytes);
    const zeros = (6 + 1) * 4096;
    if (clusterBytes !== 8192) expect(report.zeroClusters).toBe(zeros / (clusterBytes ?? 4096));
    const { made: again } = await compacted(made, { dropZeros: true });
    expect(Buffer.compare(again, made)).toBe(0);
  },
);

test('compressed clusters are carried over as they are, and others compressed if that is asked for', async () => {
  const disk = { bytes: buildImage() };
  for (let cell = 0; cell < 4; cell++) guestWrite(disk, cell, cell + 1);
  guestWriteCompressed(disk, 8, new Uint8Array([50, 51, 52, 53]));
  const carried = await compacted(disk.bytes);
  expectSame(carried.made, disk.bytes);
  expect(carried.report.compressedClusters).toBe(4);
  const packed = await compacted(disk.bytes, { compress: 'zlib' });
  expectSame(packed.made, disk.bytes);
  expect(packed.report.compressedClusters).toBe(8);
  const zstd = await compacted(disk.bytes, { compress: 'zstd' });
  expect((await openImage(memoryDevice(zstd.made))).header.compressionType).toBe('zstd');
  // Back again, for the plain reader.
  const back = await compacted(zstd.made, { compress: 'zlib' });
  expectSame(back.made, disk.bytes);
});

test('an image that is not what it was is no image', async () => {
  const inner = memoryDevice();
  const device: BlockDevice = {
    ...inner,
    sizeBytes: () => inner.sizeBytes(),
    // The medium changes a byte of the first cluster of data.
    writeBatch: (requests) =>
      inner.writeBatch(
        requests.map(({ at, bytes }) => {
          const changed = bytes.slice();
          if (at <= 4 * 4096 && at + bytes.length > 4 * 4096) changed[4 * 4096 - at]! ^= 1;
          return { at, bytes: changed };
        }),
      ),
    readBatch: (requests) => inner.readBatch(requests),
    truncate: (sizeBytes) => inner.truncate(sizeBytes),
    flush: () => inner.flush(),
    close: () => inner.close(),
    punchBatch: (ranges) => inner.punchBatch(ranges),
  };
  const image = await openImage(memoryDevice(await twice()));
  expect(await codeOf(compactImage(image, device, PLATFORM))).toBe('VERIFY_FAILED');
  expect(
    inner
      .snapshotBytes()
      .subarray(0, 512)
      .every((byte) => byte === 0),
  ).toBe(true);
});

test('what the new image can not have is refused', async () => {
  const bytes = await twice();
  const wanted: readonly (readonly [string, Partial<CompactOptions>])[] = [
    ['NEW_IMAGE_INVALID', { version: 2, refcountBits: 8 }],
    ['NEW_IMAGE_INVALID', { version: 2, compress: 'zstd' }],
    ['NEW_IMAGE_INVALID', { extendedL2: true }],
    ['NEW_IMAGE_INVALID', { clusterBytes: 1000 }],
    ['REFCOUNT_OVERFLOW', { refcountBits: 1 }],
    ['UNSUPPORTED_COMPRESSION', { compress: 'zlib', compressor: undefined }],
    ['ABORTED', { signal: AbortSignal.abort() }],
  ];
  const shared = await withSnapshot(bytes, 'second');
  for (const [code, options] of wanted) {
    const source = code === 'REFCOUNT_OVERFLOW' ? shared : bytes;
    expect(await codeOf(compacted(source, options)), JSON.stringify(options)).toBe(code);
  }
});

test('what can not be moved is refused: a data file, and sizes that differ in version 2', async () => {
  expect(await codeOf(compacted(loadFixture('data-file')))).toBe('EXTERNAL_DATA_FILE');
  const resized = compacted(loadFixture('resized-larger'), { version: 2 });
  expect(await codeOf(resized)).toBe('NEW_IMAGE_INVALID');
});

test('progress is told of both parts', async () => {
  const told: string[] = [];
  let last = 0;
  await compacted(await twice(), {
    onProgress: (phase, done, total) => {
      if (told.at(-1) !== phase) told.push(phase);
      last = done / total;
    },
  });
  expect(told).toEqual(['writing', 'comparing']);
  expect(last).toBe(1);
});

const seed = seedOf();
const rounds = roundsOf(40);

test(`any disks in any way are what they were (QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds})`, async () => {
  for (let round = 0; round < rounds; round++) {
    const random = randomFrom(seed + round);
    const bytes = await randomImage(random);
    const options = randomOptions(random, layoutOf(bytes).version === 2);
    const told = `seed ${seed + round}: ${JSON.stringify(options)}`;
    try {
      const { made } = await compacted(bytes, options);
      expectSame(made, bytes);
      const { made: again } = await compacted(made, options);
      expect(Buffer.compare(again, made)).toBe(0);
    } catch (error) {
      console.log(told);
      throw error;
    }
  }
});
