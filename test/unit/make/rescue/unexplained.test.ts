/** Clusters in use that nothing leads to: whether a disk may have lost them with a part of a table. */
import { expect, test } from 'vitest';
import {
  buildImage,
  guestWrite,
  layoutOf,
  type BuildOptions,
  type PlainDisk,
} from '../../../support/image-builder.js';
import { blockAt, putRefcountAt, putU64, u64 } from '../../../support/image-builder-layout.js';
import { diskOf, rescueOf, withSnapshot } from '../../../support/rescued.js';

const CLUSTER = 4096;
/** Cells whose L2 entries lie in one sector. */
const SECTOR_CELLS = 64;
/** One L2 table maps all of it. */
const OPTIONS: BuildOptions = {
  version: 3,
  clusterBits: 12,
  refcountOrder: 4,
  extendedL2: false,
  diskSizeBytes: 2 ** 21,
};

const offsetAt = (bytes: Uint8Array, at: number): number => Number(u64(bytes, at) % 2n ** 56n);
const activeL2At = (bytes: Uint8Array): number => offsetAt(bytes, layoutOf(bytes).l1At);

/** An image with data in the first cells and in some further ones. */
function written(options: BuildOptions, cells: number, ...further: readonly number[]): PlainDisk {
  const disk = { bytes: buildImage(options) };
  for (let cell = 0; cell < cells; cell++) guestWrite(disk, cell, 1);
  for (const cell of further) guestWrite(disk, cell, 2);
  return disk;
}

/** The image with one cluster at its end that counts as used and that nothing leads to. */
function withLeak(bytes: Uint8Array, fill: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + CLUSTER);
  longer.set(bytes);
  longer.fill(fill, bytes.length);
  const layout = layoutOf(bytes);
  const cluster = bytes.length / CLUSTER;
  putRefcountAt(longer, blockAt(bytes, layout, cluster), layout.refcountBits, cluster, 1n);
  return longer;
}

/** The image without the entries of the first sector of the active disk's L2 table. */
function withEmptiedSector(bytes: Uint8Array): Uint8Array {
  const at = activeL2At(bytes);
  return bytes.slice().fill(0, at, at + 512);
}

test('a sector without entries puts a disk in doubt while clusters that hold data lack an owner', async () => {
  const disk = written(OPTIONS, SECTOR_CELLS, 300);
  const rescued = await rescueOf(withEmptiedSector(disk.bytes));
  expect(rescued.plan.unexplained).toMatchObject({ clusters: 64, withData: 64, overcounted: 0 });
  expect(diskOf(rescued, 'active')).toMatchObject({ sureness: 'likely', tablesInDoubt: 1 });
  expect(rescued.isAll).toBe(false);
});

test('so does one whose clusters a snapshot has, too, since they count as used once more', async () => {
  const disk = written(OPTIONS, SECTOR_CELLS, 300);
  disk.bytes = await withSnapshot(disk.bytes, 'one');
  guestWrite(disk, 300, 3);
  const rescued = await rescueOf(withEmptiedSector(disk.bytes));
  expect(rescued.plan.unexplained).toMatchObject({ clusters: 0, overcounted: 64 });
  expect(diskOf(rescued, 'active')).toMatchObject({ sureness: 'likely', tablesInDoubt: 1 });
  expect(rescued.isAll).toBe(false);
});

test('an old table in a free cluster is no owner', async () => {
  const { bytes } = written(OPTIONS, SECTOR_CELLS, 300);
  const { l1At } = layoutOf(bytes);
  const old = new Uint8Array(bytes.length + 2 * CLUSTER);
  old.set(bytes);
  old.copyWithin(bytes.length, activeL2At(bytes), activeL2At(bytes) + CLUSTER);
  old.copyWithin(bytes.length + CLUSTER, l1At, l1At + CLUSTER);
  putU64(old, bytes.length + CLUSTER, BigInt(bytes.length));
  const rescued = await rescueOf(withEmptiedSector(old));
  expect(diskOf(rescued, 'lost-1')).toMatchObject({ sureness: 'guess' });
  expect(rescued.plan.unexplained.withData).toBe(64);
  expect(diskOf(rescued, 'active')).toMatchObject({ sureness: 'likely' });
  expect(rescued.isAll).toBe(false);
});

test('an L1 entry without a table puts a disk in doubt while a table lacks an owner', async () => {
  const cells = [0, 512, 1024, 1536].flatMap((first) => [first, first + 1]);
  const { bytes } = written({ ...OPTIONS, diskSizeBytes: 2 ** 23 }, 0, ...cells);
  const { l1At } = layoutOf(bytes);
  for (const entry of [0n, 1n << 63n]) {
    const damaged = bytes.slice();
    putU64(damaged, l1At + 24, entry);
    const rescued = await rescueOf(damaged);
    expect(rescued.plan.unexplained).toMatchObject({ clusters: 3, tables: 1 });
    expect(diskOf(rescued, 'active')).toMatchObject({ sureness: 'likely' });
    expect(rescued.isAll).toBe(false);
  }
});

test.each([
  ['where every sector of the tables has an entry', OPTIONS, [0, 64, 128, 192, 256, 320, 384, 448]],
  [
    'where the disk ends before the sectors without entries',
    { ...OPTIONS, diskSizeBytes: 2 ** 18 },
  ],
])('a leak puts no disk in doubt %s', async (_, options, cells = [0]) => {
  const { bytes } = written(options, 0, ...cells);
  const rescued = await rescueOf(withLeak(bytes, 7));
  expect(rescued.plan.unexplained).toMatchObject({ clusters: 1, withData: 1 });
  expect(diskOf(rescued, 'active')).toMatchObject({ sureness: 'certain', tablesInDoubt: 0 });
  expect(rescued.isAll).toBe(true);
});

test('a cluster of zeros that lacks an owner is no loss', async () => {
  const { bytes } = written(OPTIONS, 1);
  const rescued = await rescueOf(withLeak(bytes, 0));
  expect(rescued.plan.unexplained).toMatchObject({ clusters: 1, withData: 0 });
  expect(diskOf(rescued, 'active')).toMatchObject({ sureness: 'certain', tablesInDoubt: 0 });
  expect(rescued.isAll).toBe(true);
});
