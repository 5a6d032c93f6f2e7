import { describe, expect, test } from 'vitest';
import { firstPortion, joined, type Changes } from '../../../src/chain/changes.js';
import { commitDisk } from '../../../src/chain/commit-disk.js';
import { rebaseDisk } from '../../../src/chain/rebase-disk.js';
import { writeImage } from '../../../src/chain/write-image.js';
import type { DiskChange } from '../../../src/edit/write/disk-change.js';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { zeroSource } from '../../../src/io/zero-source.js';
import { createImage } from '../../../src/make/new/create-image.js';
import { openGuestDisk } from '../../../src/read/guest/open-guest-disk.js';
import { rawDisk } from '../../../src/read/guest/raw-disk.js';
import { loadFixture } from '../../support/fixture.js';
import { checkImage } from '../../support/image-builder.js';
import { PLAIN } from '../../support/new-image.js';

const CLUSTER = 4096;
const data = (at: number, length: number): DiskChange => ({ at, length, kind: 'data' });
const zero = (at: number, length: number): DiskChange => ({ at, length, kind: 'zero' });

async function* batches(...all: readonly (readonly DiskChange[])[]): Changes {
  for (const batch of all) yield await Promise.resolve(batch);
}

async function collected(changes: Changes): Promise<readonly DiskChange[]> {
  const all: DiskChange[] = [];
  for await (const batch of changes) all.push(...batch);
  return all;
}

async function emptyImage(diskSizeBytes: number, capacityBytes = Infinity) {
  const device = memoryDevice(new Uint8Array(0), 'image', { capacityBytes });
  await createImage(device, { ...PLAIN, clusterBytes: CLUSTER, diskSizeBytes });
  return device;
}

async function readImage(bytes: Uint8Array): Promise<Uint8Array> {
  const disk = await openGuestDisk(await openImage(memoryDevice(bytes)));
  const into = new Uint8Array(await disk.sizeBytes());
  await disk.readBatch([{ at: 0, into }]);
  return into;
}

describe('changes', () => {
  test('neighbours that are alike are one, across batches', async () => {
    const all = joined(
      batches([data(0, 10), data(10, 5)], [data(15, 5), zero(20, 5)], [zero(30, 1)]),
    );
    expect(await collected(all)).toEqual([data(0, 20), zero(20, 5), zero(30, 1)]);
    expect(await collected(joined(batches([])))).toEqual([]);
  });

  test('a portion ends where a cluster does', async () => {
    const all = () => batches([data(100, 10 * CLUSTER), zero(20 * CLUSTER, CLUSTER)]);
    expect(await firstPortion(all(), CLUSTER, 3)).toEqual([data(100, 3 * CLUSTER - 100)]);
    expect(await firstPortion(all(), CLUSTER, 100)).toEqual([
      data(100, 10 * CLUSTER),
      zero(20 * CLUSTER, CLUSTER),
    ]);
  });
});

describe('writing', () => {
  const size = 256 * CLUSTER;
  const content = memoryDevice(new Uint8Array(size).fill(7));
  const changesFrom = (_: unknown, from: number): Changes =>
    batches([data(from, size - from)].slice(from === size ? 1 : 0));

  test('in portions where a switch may change so many clusters', async () => {
    const device = await emptyImage(size);
    const seen: number[] = [];
    const report = await writeImage(
      device,
      { changesFrom, content },
      { disk: {}, clustersAtOnce: 100, onProgress: (done) => seen.push(done) },
    );
    expect(report).toEqual({ dataBytes: size, zeroBytes: 0, switches: 3 });
    expect(seen).toEqual([100 * CLUSTER, 200 * CLUSTER, size]);
    expect((await readImage(device.snapshotBytes())).every((byte) => byte === 7)).toBe(true);
    expect(checkImage(device.snapshotBytes())).toEqual({ corruptions: [], leaks: [] });
  });

  test('in smaller portions where the medium has no room for all, and not at all where it has none', async () => {
    // Old clusters become free after each switch.
    const device = await emptyImage(size, 1.6 * size);
    const written = { changesFrom, content };
    await writeImage(device, written, { disk: {} });
    const { switches } = await writeImage(device, written, { disk: {} });
    expect(switches).toBeGreaterThan(1);
    expect(checkImage(device.snapshotBytes())).toEqual({ corruptions: [], leaks: [] });
    const full = await emptyImage(size, 0.5 * size);
    await expect(writeImage(full, written, { disk: {} })).rejects.toMatchObject({
      code: 'NO_SPACE',
    });
    expect(checkImage(full.snapshotBytes())).toEqual({ corruptions: [], leaks: [] });
  });
});

describe('a commit', () => {
  test.each(['qcow2', 'raw'] as const)('into a shorter %s disk', async (format) => {
    const overlay = await openImage(memoryDevice(loadFixture('five-snapshots')));
    const { diskSizeBytes } = overlay.header;
    const disk = await openGuestDisk(overlay);
    const short = diskSizeBytes / 2;
    const device =
      format === 'raw' ? memoryDevice(new Uint8Array(short).fill(1)) : await emptyImage(short);
    const { dataBytes, zeroBytes } = await commitDisk(disk, { device, format }, { disk: {} });
    // What grew reads as zeros, and is not written where it is to be zeros.
    const all = format === 'raw' ? diskSizeBytes : short;
    expect(dataBytes + zeroBytes).toBeGreaterThanOrEqual(all);
    const made = device.snapshotBytes();
    const shown = format === 'raw' ? made : await readImage(made);
    expect(Buffer.compare(shown, await readImage(loadFixture('five-snapshots')))).toBe(0);
    if (format === 'qcow2') expect(checkImage(made)).toEqual({ corruptions: [], leaks: [] });
  });
});

test('a rebase writes what the new ground shows otherwise, and no more', async () => {
  const device = await emptyImage(64 * CLUSTER);
  const ground = new Uint8Array(64 * CLUSTER);
  ground.fill(3, 20 * CLUSTER, 21 * CLUSTER);
  const disk = await rawDisk(memoryDevice(ground));
  const report = await rebaseDisk(device, { disk }, { disk: {} });
  expect(report).toMatchObject({ dataBytes: 0, switches: 1 });
  expect(report.zeroBytes).toBeLessThanOrEqual(65_536);
  const same = await rebaseDisk(device, { disk, sameFrom: 0 }, { disk: {} });
  expect(same).toEqual({ dataBytes: 0, zeroBytes: 0, switches: 0 });
  expect(checkImage(device.snapshotBytes())).toEqual({ corruptions: [], leaks: [] });
});

test('a source of zeros is one hole', async () => {
  const source = zeroSource('nothing', 1000);
  const into = new Uint8Array(10).fill(1);
  await source.readBatch([{ at: 5, into }]);
  expect([await source.sizeBytes(), into.some((byte) => byte !== 0)]).toEqual([1000, false]);
  expect(await source.stretchesFrom!(0, 10)).toEqual([{ at: 0, length: 10, isHole: true }]);
  await source.close();
});
