import { expect, test } from 'vitest';
import {
  copyDifferences,
  diffDisks,
  memoryDevice,
  newQcow2Writer,
  newRawWriter,
  openGuestDisk,
  openImage,
  type DifferentRange,
  type GuestDisk,
  type Snapshot,
} from '../../../../src/index.js';
import { nodeDecompressor } from '../../../../src/node/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { PLAIN } from '../../../support/new-image.js';

async function contentOf(disk: GuestDisk): Promise<Uint8Array> {
  const bytes = new Uint8Array(await disk.sizeBytes());
  await disk.readBatch([{ at: 0, into: bytes }]);
  return bytes;
}

async function* one(ranges: readonly DifferentRange[]): AsyncGenerator<readonly DifferentRange[]> {
  yield await Promise.resolve(ranges);
}

test.each([
  'five-snapshots',
  'extended-l2',
  'compressed-zstd',
  'resized-larger',
  'resized-smaller',
])('%s: what differs, put over one disk, is the other', async (name) => {
  const image = await openImage(memoryDevice(loadFixture(name)));
  const open = (snapshot: Snapshot | undefined) =>
    openGuestDisk(image, { snapshot, decompressor: nodeDecompressor() });
  const [snapshot] = image.snapshots;
  for (const [from, to] of [
    [snapshot, undefined],
    [undefined, snapshot],
  ]) {
    const [a, b] = [await open(from), await open(to)];
    const device = memoryDevice(new Uint8Array(0), 'patch', { growable: true });
    const writer = await newRawWriter(device, await b.sizeBytes());
    const told: number[] = [];
    const onProgress = (done: number, total: number): void => void told.push(done / total);
    await copyDifferences(b, diffDisks(image, from, to), writer, { onProgress });
    await writer.finish();
    expect(told.at(-1)).toBe(1);
    const parts = device.snapshotBytes();
    const patched = new Uint8Array(await b.sizeBytes());
    patched.set((await contentOf(a)).subarray(0, patched.length));
    for await (const ranges of diffDisks(image, from, to)) {
      for (const { start, length } of ranges) {
        if (start < patched.length) patched.set(parts.subarray(start, start + length), start);
      }
    }
    expect(Buffer.compare(patched, await contentOf(b))).toBe(0);
  }
});

test('only the ranges are written, far from each other or near, and none past the end', async () => {
  const image = await openImage(memoryDevice(loadFixture('cluster-512')));
  const disk = await openGuestDisk(image);
  const end = await disk.sizeBytes();
  const ranges = [
    { start: 0, length: 512 },
    { start: 1024, length: 1024 },
    { start: 65536, length: 512 },
    { start: end - 512, length: 4096 },
    { start: end + 512, length: 512 },
  ];
  const device = memoryDevice(new Uint8Array(0), 'overlay', { growable: true });
  const writer = await newQcow2Writer(device, {
    ...{ ...PLAIN, diskSizeBytes: end, clusterBytes: 512 },
    backing: { name: new TextEncoder().encode('base.raw'), format: 'raw' },
  });
  const { dataBytes, zeroBytes, keptBytes } = await copyDifferences(disk, one(ranges), writer);
  await writer.finish();
  expect(dataBytes + zeroBytes).toBe(512 + 1024 + 512 + 512);
  expect(keptBytes).toBe(end - dataBytes - zeroBytes);
  const overlay = await openGuestDisk(await openImage(memoryDevice(device.snapshotBytes())));
  const kinds: [number, number, string][] = [];
  for await (const extents of overlay.extents(0, end, { layers: 'own' })) {
    for (const { start, length, kind } of extents) {
      if (kind !== 'unallocated') kinds.push([start, length, kind]);
    }
  }
  const written = kinds.reduce((sum, [, length]) => sum + length, 0);
  expect(written).toBe(dataBytes + zeroBytes);
});
