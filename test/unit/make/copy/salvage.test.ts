import { expect, test } from 'vitest';
import { openGuestDisk } from '../../../../src/index.js';
import { LossList, salvagedRanges } from '../../../../src/internal.js';
import { openForReading } from '../../../../src/image/open-for-reading.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { nodeDecompressor } from '../../../../src/node/index.js';
import { failingSource } from '../../../support/failing-source.js';
import { loadFixture } from '../../../support/fixture.js';
import { buildImage, guestWrite, layoutOf } from '../../../support/image-builder.js';
import { putU64 } from '../../../support/image-builder-layout.js';

const CLUSTER = 4096;

/** A disk of 16 clusters, of which the first eight are written; its L2 table and where it begins. */
function written(): { bytes: Uint8Array; l2At: number } {
  const bytes = buildImage({ diskSizeBytes: 16 * CLUSTER });
  const disk = { bytes };
  for (let cluster = 0; cluster < 8; cluster++) guestWrite(disk, cluster, 0x40 + cluster);
  const view = new DataView(disk.bytes.buffer);
  const l2At = Number(view.getBigUint64(layoutOf(disk.bytes).l1At) & 0x00ff_ffff_ffff_fe00n);
  return { bytes: disk.bytes, l2At };
}

const entry = (bytes: Uint8Array, at: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at);

async function salvaged(
  bytes: Uint8Array,
  bad: readonly { at: number; length: number }[] = [],
): Promise<unknown[]> {
  const image = await openForReading(failingSource(memoryDevice(bytes), bad));
  const losses = new LossList();
  const disk = await openGuestDisk(image, {
    decompressor: nodeDecompressor(),
    unreadableExtents: true,
    onLost: (loss) => {
      losses.add(loss);
    },
  });
  await disk.readBatch([{ at: 0, into: new Uint8Array(await disk.sizeBytes()) }]);
  const ranges: unknown[] = [];
  for await (const { start, length, state, reason } of salvagedRanges(
    disk,
    losses.sorted(),
    bytes.length,
  )) {
    ranges.push([start / CLUSTER, length / CLUSTER, state, reason]);
  }
  return ranges;
}

test('a sound disk is good in one piece', async () => {
  expect(await salvaged(written().bytes)).toEqual([[0, 16, 'good', undefined]]);
});

test('an entry that can not be right, and one cluster at two places', async () => {
  const { bytes, l2At } = written();
  putU64(bytes, l2At + 8, entry(bytes, l2At + 8) | 0x200n);
  putU64(bytes, l2At + 5 * 8, entry(bytes, l2At + 3 * 8));
  const twice = 'its host cluster is at another place of the disk, too';
  expect(await salvaged(bytes)).toEqual([
    [0, 1, 'good', undefined],
    [1, 1, 'zero-filled', 'the L2 entry does not point at a cluster boundary'],
    [2, 1, 'good', undefined],
    [3, 1, 'doubtful', twice],
    [4, 1, 'good', undefined],
    [5, 1, 'doubtful', twice],
    [6, 10, 'good', undefined],
  ]);
});

test('a file that ends inside a cluster: what is there of it is doubtful', async () => {
  const { bytes, l2At } = written();
  const last = Number(entry(bytes, l2At + 7 * 8) & 0x00ff_ffff_ffff_fe00n);
  expect(await salvaged(bytes.slice(0, last + 1024))).toEqual([
    [0, 7, 'good', undefined],
    [7, 0.25, 'doubtful', 'only a part of its cluster is in the file'],
    [7.25, 0.75, 'zero-filled', 'past the end of the file'],
    [8, 8, 'good', undefined],
  ]);
});

test('sectors that the medium does not give: of data, of the L2 and of the L1 table', async () => {
  const { bytes, l2At } = written();
  const at = Number(entry(bytes, l2At) & 0x00ff_ffff_ffff_fe00n);
  expect(await salvaged(bytes, [{ at: at + 512, length: 1 }])).toEqual([
    [0, 0.125, 'good', undefined],
    [0.125, 0.125, 'zero-filled', 'read error'],
    [0.25, 15.75, 'good', undefined],
  ]);
  expect(await salvaged(bytes, [{ at: l2At, length: 1 }])).toEqual([
    [0, 16, 'zero-filled', 'the L2 table can not be read'],
  ]);
  expect(await salvaged(bytes, [{ at: layoutOf(bytes).l1At, length: 1 }])).toEqual([
    [0, 16, 'zero-filled', 'the active L1 can not be read'],
  ]);
});

test('a compressed cluster that can not be unpacked', async () => {
  const bytes = loadFixture('compressed-zlib');
  const { l1At, clusterBytes } = layoutOf(bytes);
  const l2At = Number(entry(bytes, l1At) & 0x00ff_ffff_ffff_fe00n);
  const first = entry(bytes, l2At);
  const bits = BigInt(62 - (Math.log2(clusterBytes) - 8));
  const at = Number(first & ((1n << bits) - 1n));
  expect((first >> 62n) & 1n).toBe(1n);
  bytes.fill(0xff, at, at + 16);
  const ranges = (await salvaged(bytes)) as [number, number, string, string][];
  expect(ranges[0]).toEqual([
    0,
    clusterBytes / CLUSTER,
    'zero-filled',
    'the compressed cluster can not be unpacked',
  ]);
  expect(ranges.slice(1).map(([, , state]) => state)).toEqual(['good']);
});

// Both are called "memory": offsets in the data file were taken for clusters of the image.
test('guest data in a data file shares no cluster with the image, whatever both are called', async () => {
  const image = await openForReading(memoryDevice(loadFixture('data-file'), 'memory'));
  const disk = await openGuestDisk(image, {
    unreadableExtents: true,
    gate: {
      openBacking: () => Promise.reject(new Error('it has none')),
      openDataFile: () => Promise.resolve(memoryDevice(new Uint8Array(8 * 2 ** 20), 'memory')),
    },
  });
  expect(disk.externalData).toBe(true);
  expect(disk.sources.length).toBe(2);
  const states = new Set<string>();
  for await (const { state } of salvagedRanges(disk, [], 512)) states.add(state);
  expect([...states]).toEqual(['good']);
});
