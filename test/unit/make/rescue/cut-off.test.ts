/** Disks whose map lay behind the end of a file that was cut off: an older map is not theirs. */
import { beforeAll, expect, test } from 'vitest';
import { utf8Bytes } from '../../../../src/base/text.js';
import { checkImage, memoryDevice } from '../../../../src/index.js';
import {
  encodeSnapshotTable,
  extraDataOf,
  type SnapshotEntry,
} from '../../../../src/qcow2/snapshot-table.js';
import { allocateCluster, changeRefcount } from '../../../support/image-builder-allocate.js';
import { COPIED_BIT, putU32, putU64, u64 } from '../../../support/image-builder-layout.js';
import {
  buildImage,
  guestWrite,
  layoutOf,
  type PlainDisk,
} from '../../../support/image-builder.js';
import { activeOf, diskOf, rescueOf } from '../../../support/rescued.js';

const CLUSTER = 4096;
const DISK_BYTES = 2 ** 21;
const L2_ENTRIES = CLUSTER / 8;

const offsetAt = (bytes: Uint8Array, at: number): number => Number(u64(bytes, at) % 2n ** 56n);

/** Copies the only L1 table to the end of the file, and counts what it refers to once more. */
function addSnapshot(disk: PlainDisk): number {
  const { l1At } = layoutOf(disk.bytes);
  const at = allocateCluster(disk) * CLUSTER;
  disk.bytes.copyWithin(at, l1At, l1At + CLUSTER);
  const l2At = offsetAt(disk.bytes, l1At);
  changeRefcount(disk, l2At / CLUSTER, 1n);
  for (const table of [l1At, l2At]) {
    for (let i = 0; i < L2_ENTRIES; i++) {
      const entry = u64(disk.bytes, table + i * 8);
      putU64(disk.bytes, table + i * 8, entry & ~COPIED_BIT);
      if (table === l2At && entry !== 0n) {
        changeRefcount(disk, offsetAt(disk.bytes, table + i * 8) / CLUSTER, 1n);
      }
    }
  }
  return at;
}

function entryOf(l1At: number, index: number): SnapshotEntry {
  return {
    idBytes: utf8Bytes(String(index + 1)),
    nameBytes: utf8Bytes(`state ${index + 1}`),
    date: { seconds: 1_700_000_000 + index, nanoseconds: 0 },
    vmClockNanoseconds: 0n,
    vmStateBytes32: 0,
    extraData: extraDataOf(DISK_BYTES),
    l1: { at: l1At, entries: 1 },
  };
}

/** Each state has an L2 table of its own, behind the L1 table of the state before; the snapshot table is last. */
const disk: PlainDisk = { bytes: new Uint8Array(0) };
const l1s: number[] = [];

beforeAll(async () => {
  disk.bytes = buildImage({ diskSizeBytes: DISK_BYTES });
  for (const state of [1, 2, 3, 4]) {
    for (let cell = 0; cell < 2; cell++) guestWrite(disk, cell, state);
    for (let cell = 0; cell < 8; cell++) guestWrite(disk, state * 20 + cell, state);
    if (state < 4) l1s.push(addSnapshot(disk));
  }
  const table = encodeSnapshotTable(l1s.map(entryOf));
  const at = allocateCluster(disk) * CLUSTER;
  disk.bytes.set(table, at);
  putU64(disk.bytes, 64, BigInt(at));
  putU32(disk.bytes, 60, l1s.length);
  expect((await checkImage(memoryDevice(disk.bytes))).exitCode).toBe(0);
});

test('an L1 table that is there stays the active one when all its tables are cut off', async () => {
  const rescued = await rescueOf(disk.bytes.slice(0, l1s[0]! + CLUSTER));
  expect(diskOf(rescued, 'active')).toMatchObject({
    origin: 'named',
    tablesFound: 0,
    lostBytes: DISK_BYTES,
  });
  expect(diskOf(rescued, 'lost-1')).toMatchObject({ sureness: 'likely', tablesFound: 1 });
  expect(activeOf(rescued.copy).every((byte) => byte === 0)).toBe(true);
  expect(rescued.isAll).toBe(false);
});

test('a table of an older state is no more than a guess for what was cut off', async () => {
  const { plan, isAll } = await rescueOf(disk.bytes.slice(0, l1s[1]));
  const active = diskOf({ plan }, 'active')!;
  expect(active.lostBytes > 0 || active.sureness === 'guess').toBe(true);
  expect(isAll).toBe(false);
});

test('with the refcounts lost, too, the table that the header names is the active one', async () => {
  const bytes = disk.bytes.slice(0, l1s[0]! + CLUSTER);
  bytes.fill(0, CLUSTER, 2 * CLUSTER);
  const rescued = await rescueOf(bytes);
  expect(diskOf(rescued, 'active')).toMatchObject({ origin: 'named', lostBytes: DISK_BYTES });
  expect(rescued.isAll).toBe(false);
});

test('an L1 table in use may be that of a snapshot which left no entry', async () => {
  const bytes = disk.bytes.slice(0, l1s[2]);
  bytes.fill(0, layoutOf(bytes).l1At, layoutOf(bytes).l1At + CLUSTER);
  const rescued = await rescueOf(bytes);
  expect(diskOf(rescued, 'active')).toMatchObject({ origin: 'rebuilt' });
  const active = diskOf(rescued, 'active')!;
  expect(active.lostBytes > 0 || active.sureness === 'guess').toBe(true);
  expect(diskOf(rescued, 'lost-1')).toMatchObject({ sureness: 'likely', tablesLost: 0 });
  expect(diskOf(rescued, 'lost-2')).toMatchObject({ sureness: 'likely', tablesLost: 0 });
  expect(rescued.isAll).toBe(false);
});

test('an entry that leads behind the cut has no flipped bit', async () => {
  const l2At = offsetAt(disk.bytes, layoutOf(disk.bytes).l1At);
  const bytes = disk.bytes.slice(0, l2At + 2 * CLUSTER);
  // What only the first state had lacks an owner now, and may lie one bit away.
  bytes.fill(0, l1s[0], l1s[0]! + CLUSTER);
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.unexplained.clusters).toBeGreaterThan(0);
  expect(rescued.plan.disks.map(({ mendedPointers }) => mendedPointers)).toEqual([0, 0, 0]);
  expect(diskOf(rescued, 'active')!.lostBytes).toBe(9 * CLUSTER);
  expect(rescued.isAll).toBe(false);
});
