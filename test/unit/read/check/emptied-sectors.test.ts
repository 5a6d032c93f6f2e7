import { expect, test } from 'vitest';
import {
  checkImage,
  executePlan,
  memoryDevice,
  openImage,
  planCreate,
  planRename,
  type CheckReport,
} from '../../../../src/index.js';
import { buildImage, guestWrite, layoutOf, snapshotsOf } from '../../../support/image-builder.js';
import { blockAt, putRefcountAt } from '../../../support/image-builder-layout.js';

const OPTIONS = {
  version: 3,
  clusterBits: 12,
  refcountOrder: 4,
  extendedL2: false,
  diskSizeBytes: 2 ** 21,
} as const;

async function withSnapshot(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  const date = { seconds: 1_700_000_000, nanoseconds: 0 };
  await executePlan(await planCreate(await openImage(device), { name, date }));
  return device.snapshotBytes();
}

/** Of the first sector's 64 entries 16 are used, and of them the active disk has 4 for itself. */
async function withUsedSector(): Promise<Uint8Array> {
  const disk = { bytes: buildImage(OPTIONS) };
  for (let cell = 0; cell < 16; cell++) guestWrite(disk, cell, 1);
  for (let cell = 300; cell < 316; cell++) guestWrite(disk, cell, 2);
  disk.bytes = await withSnapshot(disk.bytes, 'one');
  for (let cell = 0; cell < 4; cell++) guestWrite(disk, cell, 3);
  return disk.bytes;
}

function activeL2At(bytes: Uint8Array): number {
  return l2AtOf(bytes, layoutOf(bytes).l1At);
}

/** The first L2 table of an L1 table. */
function l2AtOf(bytes: Uint8Array, l1At: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(l1At)) % 2 ** 56;
}

/** The cluster that the active disk has in a cell; all cells are in one L2 table. */
function dataClusterOf(bytes: Uint8Array, cell: number): number {
  const entry = new DataView(bytes.buffer).getBigUint64(activeL2At(bytes) + cell * 8);
  return Number(entry & 0x00ff_ffff_ffff_fe00n) / 4096;
}

const codesOf = ({ findings }: CheckReport): Set<string> => {
  return new Set(findings.map(({ code }) => code));
};

test('a lost sector of which some entries were used is told where a snapshot had the same clusters', async () => {
  const bytes = await withUsedSector();
  expect((await checkImage(memoryDevice(bytes))).exitCode).toBe(0);
  const at = activeL2At(bytes);
  bytes.fill(0, at, at + 512);
  const report = await checkImage(memoryDevice(bytes));
  expect(report.exitCode).toBe(2);
  expect(report.findings[0]).toMatchObject({ code: 'TABLE_EMPTIED', structure: 'active-l2', at });
  expect(report.findings[0]!.message).toContain('64 empty entries where another disk has some');
  expect(codesOf(report)).toEqual(
    new Set(['TABLE_EMPTIED', 'CLUSTER_PERHAPS_LOST', 'REFERENCES_PERHAPS_LOST']),
  );
});

test('the same in the table of a snapshot', async () => {
  const bytes = await withUsedSector();
  const { snapshots } = snapshotsOf(bytes);
  const at = l2AtOf(bytes, snapshots[0]!.l1At);
  expect(at).not.toBe(activeL2At(bytes));
  bytes.fill(0, at, at + 512);
  const report = await checkImage(memoryDevice(bytes));
  expect(report.exitCode).toBe(2);
  expect(report.findings[0]).toMatchObject({ code: 'TABLE_EMPTIED', structure: 'inactive-l2', at });
});

test('whole sectors are told though the entries behind them were never used', async () => {
  const disk = { bytes: buildImage(OPTIONS) };
  for (let cell = 0; cell < 128; cell++) guestWrite(disk, cell, 1);
  for (let cell = 300; cell < 316; cell++) guestWrite(disk, cell, 2);
  const at = activeL2At(disk.bytes);
  disk.bytes.fill(0, at, at + 1024);
  const report = await checkImage(memoryDevice(disk.bytes));
  expect(report.exitCode).toBe(2);
  expect(report.findings[0]).toMatchObject({ code: 'TABLE_EMPTIED', structure: 'active-l2', at });
});

test('a few clusters behind the last that was written are leaks', async () => {
  const disk = { bytes: buildImage(OPTIONS) };
  for (let cell = 0; cell < 64; cell++) guestWrite(disk, cell, 1);
  for (let cell = 64; cell < 96; cell++) guestWrite(disk, cell, 1);
  const at = activeL2At(disk.bytes) + 64 * 8;
  disk.bytes.fill(0, at, at + 32 * 8);
  expect((await checkImage(memoryDevice(disk.bytes))).exitCode).toBe(3);
});

test('refcounts that are too high, in a table that has entries, are leaks', async () => {
  const bytes = await withUsedSector();
  const layout = layoutOf(bytes);
  const shared = dataClusterOf(bytes, 300);
  const free = bytes.length / 4096 - 1;
  const { exitCode } = await checkImage(memoryDevice(bytes));
  expect(exitCode).toBe(0);
  const longer = new Uint8Array(bytes.length + 4096);
  longer.set(bytes);
  putRefcountAt(longer, blockAt(longer, layout, 0), 16, shared, 3n);
  putRefcountAt(longer, blockAt(longer, layout, 0), 16, free + 1, 1n);
  const report = await checkImage(memoryDevice(longer));
  expect(report.exitCode).toBe(3);
});

/**
 * What QEMU leaves where it makes a disk smaller whose L1 table maps VM state that a snapshot shares: the L1 entry is gone and
 * the L2 table's refcount lower, but not those of the VM state. Two sectors of the other table are empty.
 */
async function shrunkByQemu(): Promise<Uint8Array> {
  const disk = { bytes: buildImage({ ...OPTIONS, diskSizeBytes: 2 ** 22 }) };
  for (let cell = 0; cell < 384; cell++) guestWrite(disk, cell, 1);
  for (let cell = 512; cell < 512 + 200; cell++) guestWrite(disk, cell, 2);
  const bytes = await withSnapshot(disk.bytes, 'one');
  const layout = layoutOf(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const table = Number(view.getBigUint64(layout.l1At + 8)) % 2 ** 56;
  view.setBigUint64(layout.l1At + 8, 0n);
  view.setBigUint64(24, 2n ** 21n);
  putRefcountAt(bytes, blockAt(bytes, layout, 0), 16, table / 4096, 1n);
  return bytes;
}

test('what is counted too high at one part of the disk tells nothing of empty entries at another', async () => {
  const bytes = await shrunkByQemu();
  const report = await checkImage(memoryDevice(bytes));
  expect(codesOf(report)).toEqual(new Set(['REFCOUNT_TOO_HIGH']));
  expect(report).toMatchObject({ exitCode: 3, totals: { leaks: 200, corruptions: 0 } });
  // Another edit finds no loss either.
  const device = memoryDevice(bytes);
  const image = await openImage(device);
  await executePlan(await planRename(image, image.snapshots[0]!, 'two'));
  expect((await checkImage(device)).exitCode).toBe(3);
});

test('an active disk whose only table mapped VM state has lost nothing', async () => {
  const bytes = await shrunkByQemu();
  const { l1At } = layoutOf(bytes);
  const { l1At: snapshotL1 } = snapshotsOf(bytes).snapshots[0]!;
  const layout = layoutOf(bytes);
  const table = l2AtOf(bytes, l1At);
  // Neither disk has the first table any more, and nothing counts for it.
  for (let cell = 0; cell < 384; cell++) {
    putRefcountAt(bytes, blockAt(bytes, layout, 0), 16, dataClusterOf(bytes, cell), 0n);
  }
  putRefcountAt(bytes, blockAt(bytes, layout, 0), 16, table / 4096, 0n);
  bytes.fill(0, l1At, l1At + 8);
  bytes.fill(0, snapshotL1, snapshotL1 + 8);
  expect((await checkImage(memoryDevice(bytes))).exitCode).toBe(3);
});

test('at the same part of the disk it does', async () => {
  const disk = { bytes: buildImage({ ...OPTIONS, diskSizeBytes: 2 ** 22 }) };
  for (let cell = 0; cell < 128; cell++) guestWrite(disk, cell, 1);
  for (let cell = 512; cell < 512 + 16; cell++) guestWrite(disk, cell, 2);
  const bytes = await withSnapshot(disk.bytes, 'one');
  disk.bytes = bytes;
  guestWrite(disk, 128, 3);
  const at = activeL2At(disk.bytes);
  expect(at).not.toBe(l2AtOf(disk.bytes, snapshotsOf(disk.bytes).snapshots[0]!.l1At));
  // All that the snapshot's table names counts as used once more, so that nothing else tells of it.
  disk.bytes.fill(0, at, at + 1024);
  const report = await checkImage(memoryDevice(disk.bytes));
  expect(report.findings[0]).toMatchObject({ code: 'TABLE_EMPTIED', structure: 'active-l2', at });
});
