/**
 * Whoever was told of a failure may use their memory and files again: nothing of ours goes on then. Each
 * case has a part that fails at once and another that takes a while.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { comparePair } from '../../../src/cli/qemu-img/compare/compare-walk.js';
import { concatenatedDisk } from '../../../src/cli/qemu-img/disks/concatenated-disk.js';
import {
  chooseRescued,
  copyDisk,
  memoryDevice,
  newQcow2Writer,
  openGuestDisk,
  openImage,
  planRescue,
  rawDisk,
  writeRescued,
  type GuestDisk,
} from '../../../src/index.js';
import { walkStoredTables } from '../../../src/refs/tables.js';
import { settled } from '../../../src/io/settled.js';
import { WriteQueue } from '../../../src/make/new/write-queue.js';
import { nodeDecompressor } from '../../../src/node/index.js';
import { sweepFile } from '../../../src/make/rescue/sweep-file.js';
import { loadFixture } from '../../support/fixture.js';
import { lateDevice, type LateDevice } from '../../support/late-device.js';

const MiB = 2 ** 20;
const NEW = {
  version: 3,
  clusterBytes: 65_536,
  refcountBits: 16,
  extendedL2: false,
  lazyRefcounts: false,
  compressionType: 'zlib',
} as const;

/** The error that it ends with; nothing of the devices is under way then. */
async function failureOf(work: Promise<unknown>, ...devices: LateDevice[]): Promise<unknown> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeDefined();
  expect(devices.map(({ underWay }) => underWay)).toEqual(devices.map(() => 0));
  return failure;
}

function random(bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) all[i] = 1 + ((i * 7919) % 251);
  return all;
}

describe('settled', () => {
  const later = <T>(value: T) => sleep(5, value);

  test('resolves to what all resolve to, in their order', async () => {
    expect(await settled([later(1), Promise.resolve('a'), undefined])).toEqual([1, 'a', undefined]);
  });

  test('waits for all, and throws what the first of them throws', async () => {
    let isOver = false;
    const slow = later(1).then(() => {
      isOver = true;
      throw new Error('slow');
    });
    await expect(settled([slow, Promise.reject(new Error('quick'))])).rejects.toThrow('slow');
    expect(isOver).toBe(true);
  });
});

/** Reads all of a disk into memory that its caller uses for something else after the failure. */
async function failedRead(disk: GuestDisk, ...devices: LateDevice[]): Promise<unknown> {
  const into = new Uint8Array(await disk.sizeBytes());
  return failureOf(disk.readBatch([{ at: 0, into }]), ...devices);
}

describe('reads of a disk that fail in one part', () => {
  test('the backing file, while the image itself is read', async () => {
    const image = lateDevice(loadFixture('backing'));
    const backing = lateDevice(undefined, { fails: () => true });
    const gate = {
      openBacking: () =>
        Promise.resolve({ source: backing, format: 'raw' as const, identity: 'below' }),
      openDataFile: () => Promise.resolve(memoryDevice()),
    };
    const disk = await openGuestDisk(await openImage(image), { gate });
    expect(await failedRead(disk, image, backing)).toMatchObject({ code: 'READ_FAILED' });
  });

  test('a backing file that nobody opened, while the image itself is read', async () => {
    const image = lateDevice(loadFixture('backing'));
    const disk = await openGuestDisk(await openImage(image));
    expect(await failedRead(disk, image)).toMatchObject({ code: 'BACKING_REFUSED' });
  });

  test('packed clusters, while others are read', async () => {
    let calls = -Infinity;
    const fails = () => ++calls === 2;
    const image = lateDevice(loadFixture('compressed-zlib'), { fails });
    const disk = await openGuestDisk(await openImage(image), { decompressor: nodeDecompressor() });
    // Tables are in memory afterwards: one call reads data then, and the other packed clusters.
    await disk.readBatch([{ at: 0, into: new Uint8Array(await disk.sizeBytes()) }]);
    calls = 0;
    await failedRead(disk, image);
  });

  test('one of several disks that are read as one', async () => {
    const [good, bad] = [lateDevice(random(4096)), lateDevice(random(512), { fails: () => true })];
    const disk = await concatenatedDisk([await rawDisk(good), await rawDisk(bad)]);
    await failedRead(disk, good, bad);
  });

  test('one of two disks that are compared', async () => {
    const [good, bad] = [lateDevice(random(4096)), lateDevice(random(4096), { fails: () => true })];
    const disks = [await rawDisk(bad), await rawDisk(good)] as const;
    const verdict = await comparePair(disks, { strict: false, onDone: () => undefined });
    expect(verdict.kind).toBe('read-failed');
    expect(good.underWay).toBe(0);
  });
});

describe('reads ahead, when whoever uses them fails or stops', () => {
  test('tables', async () => {
    const device = lateDevice(random(4 * MiB));
    const offsets = Float64Array.from({ length: 64 }, (_, i) => i * 65_536);
    const visit = () => {
      throw new Error('enough');
    };
    await failureOf(walkStoredTables(device, offsets, 65_536, visit), device);
  });

  test('the scan for what is left of an image', async () => {
    const bytes = loadFixture('cluster-64k');
    const { evidence } = await planRescue(memoryDevice(bytes));
    const device = lateDevice(random(12 * MiB));
    const onProgress = () => {
      throw new Error('enough');
    };
    await failureOf(sweepFile(device, 12 * MiB, evidence.scan, { onProgress }), device);
  });

  test('extents', async () => {
    const device = lateDevice(await tinyClusters(256 * MiB));
    const disk = await openGuestDisk(await openImage(device));
    for await (const extents of disk.extents(0, await disk.sizeBytes())) {
      expect(extents.length).toBeGreaterThan(0);
      break;
    }
    expect(device.underWay).toBe(0);
  });
});

describe('writes', () => {
  test('a queue with one write that fails and one that runs', async () => {
    const device = lateDevice(undefined, { fails: (_, at) => at === 0 });
    const queue = new WriteQueue(device);
    const batches = [0, 4096, 8192].map((at) => [{ at, bytes: random(512) }]);
    await failureOf(queue.inTurn(batches), device);
    await failureOf(queue.inTurn([]), device);
  });

  test('a later call of a queue, while the one before still runs', async () => {
    const device = lateDevice(undefined, { fails: (_, at) => at === 4096 });
    const queue = new WriteQueue(device);
    const first = queue.inTurn([[{ at: 0, bytes: random(512) }]]);
    await failureOf(queue.inTurn([[{ at: 4096, bytes: random(512) }]]), device);
    await first;
  });

  test('a copy whose next read fails', async () => {
    const diskSizeBytes = 16 * MiB;
    const source = lateDevice(random(diskSizeBytes), { fails: (_, at) => at >= 8 * MiB });
    const target = lateDevice();
    const writer = await newQcow2Writer(target, { ...NEW, diskSizeBytes });
    const failure = await failureOf(copyDisk(await rawDisk(source), writer), source, target);
    expect(failure).toMatchObject({ code: 'READ_FAILED' });
  });

  test('a rescue whose next read fails', async () => {
    const bytes = await copiedImage(12 * MiB);
    let isBroken = false;
    const source = lateDevice(bytes, {
      fails: (_, at) => isBroken && at > 6 * MiB && at < 11 * MiB,
    });
    const plan = await planRescue(source);
    const target = lateDevice();
    isBroken = true;
    const failure = await failureOf(writeRescued(plan, chooseRescued(plan), target), target);
    expect(failure).toMatchObject({ code: 'READ_FAILED' });
  });
});

/** An image of very many L2 tables, each with one cluster of zeros. */
async function tinyClusters(diskSizeBytes: number): Promise<Uint8Array> {
  const target = memoryDevice();
  const writer = await newQcow2Writer(target, { ...NEW, clusterBytes: 512, diskSizeBytes });
  const tableBytes = 64 * 512;
  const writes = Array.from({ length: diskSizeBytes / tableBytes }, (_, i) => {
    return { kind: 'zero', at: i * tableBytes, length: 512 } as const;
  });
  await writer.writeBatch(writes);
  await writer.finish();
  return target.snapshotBytes();
}

/** A qcow2 image with a disk full of data. */
async function copiedImage(diskSizeBytes: number): Promise<Uint8Array> {
  const target = memoryDevice();
  const writer = await newQcow2Writer(target, { ...NEW, diskSizeBytes });
  await copyDisk(await rawDisk(memoryDevice(random(diskSizeBytes))), writer);
  await writer.finish();
  return target.snapshotBytes();
}

test('closing a disk waits for all its files, whichever fails', async () => {
  let isClosed = false;
  const data = { ...lateDevice(), close: () => Promise.reject(new Error('gone')) };
  const below = {
    ...lateDevice(random(512)),
    close: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      isClosed = true;
    },
  };
  const gate = {
    openBacking: () =>
      Promise.resolve({ source: below, format: 'raw' as const, identity: 'below' }),
    openDataFile: () => Promise.resolve(data),
  };
  const image = await openImage(memoryDevice(loadFixture('backing')));
  const disk = await openGuestDisk(
    { ...image, header: { ...image.header, externalDataFile: true } },
    { gate },
  );
  await expect(disk.close()).rejects.toThrow('gone');
  expect(isClosed).toBe(true);
});
