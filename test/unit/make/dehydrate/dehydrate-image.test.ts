import { inflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createImage, findVmState, openForReading, openImage } from '../../../../src/index.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { dehydrateImage } from '../../../../src/make/dehydrate/dehydrate-image.js';
import type {
  DehydrateOptions,
  DehydrateReport,
  RehydrateOptions,
  RehydrateReport,
} from '../../../../src/make/dehydrate/dehydrate-options.js';
import { rehydrateImage } from '../../../../src/make/dehydrate/rehydrate-image.js';
import type { BitmapsExtension } from '../../../../src/qcow2/extensions.js';
import { nodeCompressor } from '../../../../src/node/index.js';
import {
  buildImage,
  guestWrite,
  guestWriteCompressed,
  layoutOf,
  readGuest,
  type PlainDisk,
} from '../../../support/image-builder.js';
import { offsetAt, putU64 } from '../../../support/image-builder-layout.js';
import { loadFixture } from '../../../support/fixture.js';

const CLUSTER = 4096;
const CONTENT = 0x47;

function written(): Uint8Array {
  const disk: PlainDisk = { bytes: buildImage() };
  for (const cluster of [0, 3, 40]) guestWrite(disk, cluster, CONTENT);
  return disk.bytes;
}

async function dehydrated(
  bytes: Uint8Array,
  options: DehydrateOptions = {},
): Promise<{ bytes: Uint8Array; report: DehydrateReport }> {
  const copy = memoryDevice();
  const report = await dehydrateImage(await openForReading(memoryDevice(bytes)), copy, options);
  return { bytes: copy.snapshotBytes(), report };
}

async function rehydrated(
  bytes: Uint8Array,
  options: RehydrateOptions = {},
): Promise<{ bytes: Uint8Array; report: RehydrateReport }> {
  const copy = memoryDevice();
  const report = await rehydrateImage(await openForReading(memoryDevice(bytes)), copy, options);
  return { bytes: copy.snapshotBytes(), report };
}

const text = (bytes: Uint8Array, at: number): string =>
  Buffer.from(bytes)
    .toString('latin1', at, at + 31)
    .trimEnd();

describe('without guest data', () => {
  test('the copy is as long, checks alike and has nothing of the guest', async () => {
    const bytes = written();
    const progress: [number, number][] = [];
    const { bytes: made, report } = await dehydrated(bytes, {
      onProgress: (done, total) => progress.push([done, total]),
    });
    expect(made).toHaveLength(bytes.length);
    expect(made.includes(CONTENT)).toBe(false);
    expect(await checkImage(memoryDevice(made))).toEqual(await checkImage(memoryDevice(bytes)));
    const { fileSizeBytes, dataBytes, leftOut, unread, replacedNames } = report;
    expect({ fileSizeBytes, dataBytes }).toEqual({
      fileSizeBytes: bytes.length,
      dataBytes: 3 * CLUSTER,
    });
    expect({ leftOut, unread, replacedNames }).toEqual({
      leftOut: [],
      unread: [],
      replacedNames: 0,
    });
    const [done, total] = progress.at(-1)!;
    expect(done).toBe(total);
  });

  test('metadata that is guest data, too, is left out', async () => {
    const bytes = written();
    const { l1At, refcountTableAt } = layoutOf(bytes);
    putU64(bytes, offsetAt(bytes, l1At), BigInt(refcountTableAt));
    const { bytes: made, report } = await dehydrated(bytes);
    expect(report.leftOut).toEqual([
      { reason: 'guest-data', clusters: 1, firstAt: refcountTableAt },
    ]);
    expect(made.subarray(refcountTableAt, refcountTableAt + CLUSTER).includes(1)).toBe(false);
  });

  test('a pointer to free bytes makes no table of them; nor does one within a cluster', async () => {
    const bytes = new Uint8Array(written().length + 2 * CLUSTER).fill(CONTENT);
    const image = written();
    bytes.set(image);
    const { l1At } = layoutOf(bytes);
    putU64(bytes, l1At, BigInt(image.length));
    const { bytes: made, report } = await dehydrated(bytes);
    expect(report.leftOut).toEqual([{ reason: 'no-table', clusters: 1, firstAt: image.length }]);
    expect(made.includes(CONTENT)).toBe(false);
    putU64(bytes, l1At, BigInt(image.length + 512));
    expect((await dehydrated(bytes)).report.misalignedTables).toBe(1);
  });

  test('a pointer to a structure with names makes no table of it', async () => {
    const bytes = loadFixture('five-snapshots');
    const { l1At, snapshotTableAt } = layoutOf(bytes);
    putU64(bytes, l1At, BigInt(snapshotTableAt));
    const { bytes: made, report } = await dehydrated(bytes);
    expect(report.leftOut).toContainEqual({
      ...{ reason: 'names', clusters: 1, firstAt: snapshotTableAt },
    });
    expect(Buffer.from(made).includes('golden')).toBe(false);
  });

  test('bitmaps, VM states, keys', async () => {
    const bitmaps = await dehydrated(loadFixture('bitmaps-snapshots'));
    const made = await openImage(memoryDevice(bitmaps.bytes));
    expect(made.bitmaps.map(({ name }) => name.slice(0, 2))).toContain('b1');
    const state = loadFixture('vm-state');
    const vmState = await openImage(memoryDevice((await dehydrated(state)).bytes));
    const sizes = (await findVmState(vmState)).map(({ dataBytes }) => dataBytes);
    const before = await findVmState(await openImage(memoryDevice(state)));
    expect(sizes).toEqual(before.map(({ dataBytes }) => dataBytes));
    expect((await dehydrated(loadFixture('luks'))).report.keyBytes).toBeGreaterThan(0);
  });

  test('a bitmap directory that can not be read may be anything, and is a hole', async () => {
    const bytes = loadFixture('bitmaps-snapshots');
    const opened = await openImage(memoryDevice(bytes));
    const found = opened.extensions.find(({ kind }) => kind === 'bitmaps');
    const { directoryAt, directoryBytes } = (found as { bitmaps: BitmapsExtension }).bitmaps;
    bytes.fill(CONTENT, directoryAt, directoryAt + directoryBytes);
    const { bytes: made, report } = await dehydrated(bytes);
    expect(report.unread.map(({ structure }) => structure)).toEqual(['bitmap directory']);
    expect(made.subarray(directoryAt, directoryAt + directoryBytes).includes(CONTENT)).toBe(false);
  });

  test('where the file ends within packed data, a check says the same if it is given a compressor', async () => {
    const bytes = loadFixture('compressed-v2');
    const wanted = (await checkImage(memoryDevice(bytes))).findings;
    const made = await dehydrated(bytes, { compressor: nodeCompressor() });
    expect((await checkImage(memoryDevice(made.bytes))).findings).toEqual(wanted);
    const without = await dehydrated(bytes);
    const codes = (await checkImage(memoryDevice(without.bytes))).findings.map(({ code }) => code);
    expect(codes).toEqual(['FILE_CUT_OFF']);
  });

  test('it writes to an empty file alone, and stops when it is told to', async () => {
    const image = await openForReading(memoryDevice(written()));
    await expect(dehydrateImage(image, memoryDevice(new Uint8Array(1)))).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
    });
    const copy = memoryDevice();
    const signal = AbortSignal.abort();
    await expect(dehydrateImage(image, copy, { signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(await copy.sizeBytes()).toBe(0);
  });
});

describe('filled', () => {
  test('each sector of guest data tells its place in the file', async () => {
    const bytes = written();
    const { bytes: made, report } = await rehydrated((await dehydrated(bytes)).bytes);
    expect(report.filledBytes).toBe(3 * CLUSTER);
    const l2At = offsetAt(bytes, layoutOf(bytes).l1At);
    for (const cluster of [0, 3, 40]) {
      const at = offsetAt(bytes, l2At + cluster * 8);
      for (let sector = at; sector < at + CLUSTER; sector += 512) {
        const place = `qsnap host 0x${sector.toString(16).padStart(16, '0')}`;
        expect(text(made, sector)).toBe(place);
        expect(text(made, sector + 480)).toBe(place);
      }
    }
    expect(await checkImage(memoryDevice(made))).toEqual(await checkImage(memoryDevice(bytes)));
  });

  test('compressed clusters unpack to the place of their data, as far as they have room', async () => {
    const disk: PlainDisk = { bytes: buildImage() };
    // The first one is as short as can be, the second one longer than a cluster.
    guestWriteCompressed(disk, 5, Uint8Array.of(CONTENT, CONTENT));
    const { bytes: made, report } = await rehydrated(disk.bytes, { compressor: nodeCompressor() });
    expect(report).toMatchObject({ packedClusters: 2, packedLeftOut: 0 });
    const content = readGuest(made, layoutOf(made));
    expect(text(content, 5 * CLUSTER)).toBe('q'.repeat(31));
    const place = text(content, 6 * CLUSTER);
    expect(place).toMatch(/^qsnap packed 0x[0-9a-f]{16}$/);
    const packed = made.subarray(Number.parseInt(place.slice(-16), 16));
    expect(text(inflateRawSync(packed.subarray(0, CLUSTER)), CLUSTER - 32)).toBe(place);
    const without = await rehydrated(disk.bytes);
    expect(without.report).toMatchObject({ packedClusters: 0, packedLeftOut: 2 });
  });

  test('an image without data stays empty', async () => {
    const device = memoryDevice();
    const size = { diskSizeBytes: 2 ** 20, version: 3, clusterBytes: 65_536 } as const;
    await createImage(device, {
      ...size,
      refcountBits: 16,
      extendedL2: false,
      lazyRefcounts: false,
      compressionType: 'zlib',
    });
    const { report } = await rehydrated(device.snapshotBytes());
    expect(report).toMatchObject({ filledBytes: 0, dataBytes: 0 });
  });
});
