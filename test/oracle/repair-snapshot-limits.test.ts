/**
 * Snapshot tables past QEMU's limits, as QEMU's own test of them has: more than 65,536 entries, more than 64 MiB,
 * one with more extra data than anyone reads. QEMU's repair cuts the table there, and so does ours when
 * that is asked for by name: what both keep is the same.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkImage, executePlan, memoryDevice, proposeRepair } from '../../src/index.js';
import { memoryDirectory } from '../support/directories.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { buildImage, guestWrite, layoutOf, snapshotsOf } from '../support/image-builder.js';
import { putRefcountAt, putU32, putU64, u64 } from '../support/image-builder-layout.js';
import { describeWithQemu, expectClean, qemuImg } from '../support/qemu.js';

const CLUSTER = 65_536;
const TABLE_AT = 4 * 2 ** 20;

interface Entry {
  readonly extraBytes: number;
  readonly idBytes: number;
  readonly nameBytes: number;
}

/** An entry of the table without an L1, dated 2023. Its id is a number, filled up to its length. */
function entryOf({ extraBytes, idBytes, nameBytes }: Entry, index: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((40 + extraBytes + idBytes + nameBytes) / 8) * 8);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, idBytes);
  view.setUint16(14, nameBytes);
  view.setUint32(16, 1_700_000_000);
  view.setUint32(36, extraBytes);
  if (extraBytes >= 16) view.setBigUint64(48, 2n ** 22n);
  bytes.fill(0x78, 40 + extraBytes, 40 + extraBytes + idBytes + nameBytes);
  bytes.set(new TextEncoder().encode(`${index}.`).subarray(0, idBytes), 40 + extraBytes);
  return bytes;
}

/** An image with a table of these entries at 4 MiB, every cluster of it counted. */
function imageWith(entries: readonly Uint8Array[]): Uint8Array {
  const options = { version: 3, clusterBits: 16, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 22 }) };
  for (let cell = 0; cell < 8; cell++) guestWrite(disk, cell * 5, cell + 1);
  const length = entries.reduce((sum, { length: bytes }) => sum + bytes, 0);
  const bytes = new Uint8Array(TABLE_AT + length);
  bytes.set(disk.bytes);
  let at = TABLE_AT;
  for (const entry of entries) {
    bytes.set(entry, at);
    at += entry.length;
  }
  putU32(bytes, 60, entries.length);
  putU64(bytes, 64, BigInt(TABLE_AT));
  const block = Number(u64(bytes, layoutOf(bytes).refcountTableAt));
  for (let cluster = TABLE_AT / CLUSTER; cluster * CLUSTER < bytes.length; cluster++) {
    putRefcountAt(bytes, block, 16, cluster, 1n);
  }
  return bytes;
}

const many = (count: number, entry: Entry): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => entryOf(entry, index));

/** Of more. */
const KEPT_BY_QEMU = 65_536;

const LONG = { extraBytes: 1024, idBytes: 65_535, nameBytes: 65_535 };
const SHORT = { extraBytes: 16, idBytes: 6, nameBytes: 2 };

const TABLES: Readonly<Record<string, () => Uint8Array>> = {
  'too much extra data in the last entry': () =>
    imageWith([...many(4, SHORT), entryOf({ ...SHORT, extraBytes: CLUSTER }, 4)]),
  'more than 64 MiB': () => imageWith(many(508, LONG)),
  'more than 65,536 snapshots': () => imageWith(many(65_540, SHORT)),
};

describeWithQemu('snapshot tables past the limits', () => {
  test.each(oneIn(2, Object.entries(TABLES)))('%s', { timeout: 180_000 }, async (_, make) => {
    const bytes = make();
    const path = join(memoryDirectory(), 'image.qcow2');
    const device = memoryDevice(bytes.slice());
    const refused = proposeRepair(device, () => ({ classes: ['all'] }));
    await expect(refused).rejects.toMatchObject({ code: 'REPAIR_REFUSED' });
    const choice = { classes: ['all', 'leaks'], dropUnreadSnapshots: true } as const;
    const { plan } = await proposeRepair(device, () => choice);
    await executePlan(plan!);
    const ours = device.snapshotBytes();
    writeFileSync(path, ours);
    await expectClean(path);
    expect((await checkImage(device, { maxFindings: 0 })).exitCode).toBe(0);

    const left = idsOf(ours);
    if (left.length > 1000 && process.env['QSNAP_ROUNDS'] === undefined) {
      leaveOut("QEMU's repair of 65,540 snapshots, half a minute, which QSNAP_ROUNDS=1 makes");
      expect(left.length).toBe(KEPT_BY_QEMU);
      return;
    }
    writeFileSync(path, bytes);
    // QEMU looks again at what it mended, and says by its exit code whether all is well.
    await qemuImg(['check', '-r', 'all', '-f', 'qcow2', path]);
    const kept = idsOf(new Uint8Array(readFileSync(path)));
    // QEMU cuts the extra data of an entry that has too much, and keeps the rest of it.
    expect(kept.slice(0, left.length)).toEqual(left);
    expect(kept.length - left.length).toBeLessThanOrEqual(1);
  });
});

const idsOf = (bytes: Uint8Array): string[] => snapshotsOf(bytes).snapshots.map(({ id }) => id);
