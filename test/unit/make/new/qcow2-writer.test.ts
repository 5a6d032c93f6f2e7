import { describe, expect, test } from 'vitest';
import {
  checkImage,
  newQcow2Writer,
  openGuestDisk,
  openImage,
  type BlockDevice,
  type Gate,
  type GuestWrite,
  type NewImageOptions,
} from '../../../../src/index.js';
import { nodeDecompressor } from '../../../../src/node/index.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { randomFrom, type Random } from '../../../support/model-random.js';
import {
  inBatches,
  packed,
  PLAIN,
  randomContent,
  randomOptions,
} from '../../../support/new-image.js';
import { crashStates, recordingDevice } from '../../../support/recording-device.js';

const SEED = 20_240_617;

async function written(seed: number, device = recordingDevice()) {
  const random = randomFrom(seed);
  const options = randomOptions(random);
  const { writes, disk } = randomContent(options, random);
  const writer = await newQcow2Writer(device, options);
  for (const batch of inBatches(writes, random)) await writer.writeBatch(batch);
  await writer.finish();
  return { device, disk, options };
}

/** A disk of two megabytes at most. */
function smallOptions(random: Random): NewImageOptions {
  const options = randomOptions(random);
  return { ...options, diskSizeBytes: Math.min(options.diskSizeBytes, 2 ** 21 - 512) };
}

/** A random mix without compressed clusters. */
function unpackedContent(options: NewImageOptions, random: Random) {
  const { writes, disk } = randomContent(options, random);
  const { clusterBytes, diskSizeBytes } = options;
  const unpacked = writes.map((write): GuestWrite => {
    if (write.kind !== 'compressed') return write;
    const end = Math.min(diskSizeBytes, write.at + clusterBytes);
    return { kind: 'data', at: write.at, bytes: disk.slice(write.at, end) };
  });
  return { writes: unpacked, disk };
}

async function contentOf(
  device: BlockDevice,
  diskBytes: number,
  dataFile?: BlockDevice,
): Promise<Buffer> {
  const gate: Gate = {
    openBacking: () => Promise.reject(new Error('there is none')),
    openDataFile: () => Promise.resolve(dataFile!),
  };
  const guest = await openGuestDisk(await openImage(device), { gate });
  const read = Buffer.alloc(diskBytes);
  await guest.readBatch([{ at: 0, into: read }]);
  return read;
}

describe('an image of guest data', () => {
  test.each(Array.from({ length: 12 }, (_, i) => SEED + i))('seed %d', async (seed) => {
    const { device, disk } = await written(seed);
    const report = await checkImage(device);
    expect(report.findings).toEqual([]);
    const image = await openImage(device);
    const guest = await openGuestDisk(image, { decompressor: nodeDecompressor() });
    const read = new Uint8Array(disk.length);
    await guest.readBatch([{ at: 0, into: read }]);
    expect(Buffer.from(read).equals(disk)).toBe(true);
  });

  test.each(
    (['metadata', 'falloc', 'full'] as const).flatMap((preallocation) =>
      [false, true].flatMap((isDisk) => [1, 2].map((n) => ({ preallocation, isDisk, n }))),
    ),
  )('$preallocation, on a block device: $isDisk (seed $n)', async (how) => {
    const { preallocation, isDisk, n } = how;
    const random = randomFrom(SEED + n);
    const options = { ...smallOptions(random), preallocation };
    const { writes, disk } = unpackedContent(options, random);
    const old = new Uint8Array(2 ** 22 + 2 ** 21).fill(0x51);
    const device = isDisk ? memoryDevice(old, 'disk', { growable: false }) : recordingDevice();
    const writer = await newQcow2Writer(device, options);
    for (const batch of inBatches(writes, random)) await writer.writeBatch(batch);
    await writer.finish();
    const report = await checkImage(device);
    expect(report.findings).toEqual([]);
    const clusters = Math.ceil(options.diskSizeBytes / options.clusterBytes);
    expect(report.totals.allocatedClusters).toBe(clusters);
    expect((await contentOf(device, disk.length)).equals(disk)).toBe(true);
  });

  test.each([1, 2, 3, 4])('an external data file (seed %d)', async (n) => {
    const random = randomFrom(SEED + n);
    const options = {
      ...smallOptions(random),
      version: 3 as const,
      dataFile: { name: Uint8Array.of(100), raw: random.chance(0.5) },
    };
    const { writes, disk } = unpackedContent(options, random);
    const device = recordingDevice();
    const isDisk = random.chance(0.5);
    const data = memoryDevice(new Uint8Array(isDisk ? disk.length : 0), 'd', { growable: !isDisk });
    const writer = await newQcow2Writer(device, options, data);
    expect(writer.takesCompressed).toBe(false);
    for (const batch of inBatches(writes, random)) await writer.writeBatch(batch);
    await writer.finish();
    expect((await checkImage(device)).findings).toEqual([]);
    const read = await contentOf(device, disk.length, data);
    expect(read.equals(disk)).toBe(true);
    if (!options.dataFile.raw) return;
    const raw = Buffer.alloc(disk.length);
    raw.set(data.snapshotBytes().subarray(0, disk.length));
    expect(raw.equals(disk)).toBe(true);
  });

  test('a block device is cleared where a header stood, and its rest does not show', async () => {
    const old = memoryDevice(new Uint8Array(4 * 1024 * 1024).fill(0x51), 'disk', {
      growable: false,
    });
    const options = {
      ...PLAIN,
      version: 2 as const,
      backing: { name: Uint8Array.of(98), format: 'raw' },
    };
    const writer = await newQcow2Writer(old, options);
    await writer.writeBatch([{ kind: 'zero', at: 0, length: 131_072 }]);
    expect(old.snapshotBytes().subarray(0, 4)).toEqual(new Uint8Array(4));
    await writer.finish();
    expect(
      old
        .snapshotBytes()
        .subarray(65_536, 196_608)
        .every((byte) => byte === 0),
    ).toBe(true);
  });
});

describe('subclusters', () => {
  const SUB = 512;
  const options = {
    ...PLAIN,
    clusterBytes: 16_384,
    extendedL2: true,
    diskSizeBytes: 2 * 16_384 + 5 * SUB + 100,
  };
  const data = (at: number, length: number, fill: number) => {
    return { kind: 'data' as const, at, bytes: new Uint8Array(length).fill(fill) };
  };

  test('of one cluster, written at different times, share its place', async () => {
    const device = memoryDevice(new Uint8Array(0));
    const writer = await newQcow2Writer(device, options);
    expect(writer).toMatchObject({ clusterBytes: 16_384, unitBytes: SUB });
    await writer.writeBatch([data(SUB, SUB, 1)]);
    await Promise.all([
      writer.writeBatch([{ kind: 'zero', at: 2 * SUB, length: SUB }, data(4 * SUB, SUB, 2)]),
      // From the end of one cluster over the next one into the last, up to the end of the disk.
      writer.writeBatch([data(31 * SUB, options.diskSizeBytes - 31 * SUB, 3)]),
    ]);
    await writer.finish();
    expect((await checkImage(device)).findings).toEqual([]);
    const disk = await openGuestDisk(await openImage(device));
    const extents = [];
    for await (const batch of disk.extents(0, options.diskSizeBytes)) extents.push(...batch);
    const base = extents.find(({ kind }) => kind === 'data')!.at! - SUB;
    expect(
      extents.map(({ start, length, kind, at }) => [start / SUB, length, kind, at! - base]),
    ).toEqual([
      [0, SUB, 'unallocated', 0],
      [1, SUB, 'data', SUB],
      [2, SUB, 'zero', 2 * SUB],
      [3, SUB, 'unallocated', 3 * SUB],
      [4, SUB, 'data', 4 * SUB],
      [5, 26 * SUB, 'unallocated', 5 * SUB],
      [31, 38 * SUB + 100, 'data', 31 * SUB],
    ]);
    const bytes = new Uint8Array(options.diskSizeBytes);
    await disk.readBatch([{ at: 0, into: bytes }]);
    expect([0, 1, 2, 3, 4, 5, 31, 69].map((sub) => bytes[sub * SUB])).toEqual([
      0, 1, 0, 0, 2, 0, 3, 3,
    ]);
    // What lies past the end of the disk in its last subcluster is zeros, and the rest has no bit.
    const stored = device.snapshotBytes().subarray(base + 69 * SUB, base + 70 * SUB);
    expect(stored.lastIndexOf(3)).toBe(99);
    expect(stored.length).toBe(SUB);
    const larger = await openImage(device);
    const longer = { ...larger, header: { ...larger.header, diskSizeBytes: 3 * 16_384 } };
    const last = [];
    for await (const batch of (await openGuestDisk(longer)).extents(64 * SUB, 96 * SUB)) {
      last.push(...batch.map(({ length, kind }) => [length / SUB, kind]));
    }
    expect(last).toEqual([
      [6, 'data'],
      [26, 'unallocated'],
    ]);
  });

  test('parts of them are refused', async () => {
    for (const write of [data(100, SUB, 1), data(0, 100, 1)]) {
      const writer = await newQcow2Writer(memoryDevice(), options);
      await expect(writer.writeBatch([write])).rejects.toMatchObject({ code: 'INTERNAL' });
    }
  });
});

describe('a power cut', () => {
  test('leaves no image, or the whole one', async () => {
    const random = randomFrom(SEED);
    const options = { ...PLAIN, clusterBytes: 512, diskSizeBytes: 65_536 };
    const { writes } = randomContent(options, random);
    const device = recordingDevice();
    const writer = await newQcow2Writer(device, options);
    await writer.writeBatch(writes);
    await writer.finish();
    const whole = device.snapshotBytes();
    let cut = 0;
    for (const { bytes, description } of crashStates(device.log, new Uint8Array(0), {
      seed: SEED,
    })) {
      const isImage = Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'QFI\xfb';
      if (isImage) expect(Buffer.from(bytes).equals(whole), description).toBe(true);
      else cut += 1;
    }
    expect(cut).toBeGreaterThan(10);
  });
});

describe('what is refused', () => {
  test('a failure is the answer to all that follows', async () => {
    const device = recordingDevice();
    const writer = await newQcow2Writer(device, PLAIN);
    device.failAt(1);
    const bytes = new Uint8Array(65_536).fill(1);
    await expect(writer.writeBatch([{ kind: 'data', at: 0, bytes }])).rejects.toMatchObject({
      code: 'WRITE_FAILED',
    });
    await expect(writer.writeBatch([])).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    await expect(writer.finish()).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    expect(device.snapshotBytes().length).toBe(0);
  });

  test.each([
    ['backwards', [1, 0]],
    ['twice', [0, 0]],
  ] as const)('%s', async (_, places) => {
    const writer = await newQcow2Writer(memoryDevice(), PLAIN);
    const writes = places.map((at) => ({ kind: 'zero' as const, at: at * 65_536, length: 65_536 }));
    await expect(writer.writeBatch(writes)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('parts of clusters, and clusters that did not become smaller', async () => {
    const bad = [
      { kind: 'data', at: 0, bytes: new Uint8Array(512) },
      { kind: 'data', at: 512, bytes: new Uint8Array(65_536) },
      { kind: 'compressed', at: 0, packed: new Uint8Array(65_536) },
      { kind: 'zero', at: 0, length: 2 * 1024 * 1024 },
    ] as const;
    for (const write of bad) {
      const writer = await newQcow2Writer(memoryDevice(), PLAIN);
      await expect(writer.writeBatch([write])).rejects.toMatchObject({ code: 'INTERNAL' });
    }
  });

  test('with refcounts of one bit no cluster is shared', async () => {
    const device = memoryDevice();
    const writer = await newQcow2Writer(device, { ...PLAIN, refcountBits: 1 });
    const cluster = packed(new Uint8Array(65_536).fill(7), 'zlib');
    const writes = [0, 1, 2].map((i) => ({
      kind: 'compressed' as const,
      at: i * 65_536,
      packed: cluster,
    }));
    await writer.writeBatch(writes);
    await writer.finish();
    expect((await checkImage(device)).findings).toEqual([]);
  });
});
