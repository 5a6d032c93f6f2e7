/** One image for every finding: a fixture with a few wrong bytes, and where the check must point. */
import type { FindingCode } from '../../../../src/read/check/catalog.js';
import type { CheckOptions } from '../../../../src/read/check/report.js';
import { patientOf, type Patient } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import {
  blockAt,
  COMPRESSED_BIT,
  COPIED_BIT,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  snapshotsOf,
  u64,
} from '../../../support/image-builder-layout.js';

export interface Example {
  readonly fixture: string;
  /** Does the damage and returns the byte offset that the finding must name. */
  readonly damage: (patient: Patient) => number;
  /** Bytes of the file that are left; undefined: all. */
  readonly left?: (patient: Patient) => number;
  readonly options?: CheckOptions;
}

const RESERVED_BIT = 1n << 57n;

function example(
  fixture: string,
  damage: (patient: Patient) => number,
  more: Pick<Example, 'left' | 'options'> = {},
): Example {
  return { fixture, damage, ...more };
}

/** Where the last cluster of guest data lies. */
const lastData = (p: Patient): number =>
  Math.max(...p.standard.map(({ entry }) => Number(entry & OFFSET_MASK)));
const untilLastData = (p: Patient): number => lastData(p) + 100;

/** Empties the L1 entry of the first active L2 table; returns where that table lies. */
function loseTable(p: Patient): number {
  const at = usedL1(p);
  const table = Number(u64(p.bytes, at) & OFFSET_MASK);
  putU64(p.bytes, at, 0n);
  return table;
}

/** Changes the 8 bytes at `at`. */
function change({ bytes }: Patient, at: number, to: (was: bigint) => bigint): number {
  putU64(bytes, at, BigInt.asUintN(64, to(u64(bytes, at))));
  return at;
}

/** Sets the refcount of a cluster; returns where it is stored, with 16-bit refcounts. */
function setRefcount({ bytes, layout }: Patient, cluster: number, value: bigint): number {
  const block = blockAt(bytes, layout, cluster);
  putRefcountAt(bytes, block, layout.refcountBits, cluster, value);
  return block + Math.floor((cluster * layout.refcountBits) / 8);
}

/** The first active L2 entry of a standard cluster, and one more. */
const standard = (patient: Patient, index = 0): number =>
  patient.standard.filter(({ active }) => active)[index]!.at;
/** An active L2 entry whose cluster nobody else has. */
const own = ({ standard: all }: Patient) =>
  all.find(({ active, entry }) => active && (entry & COPIED_BIT) !== 0n)!;
const clusterOf = (patient: Patient, entryAt: number): number =>
  Number(u64(patient.bytes, entryAt) & OFFSET_MASK) / patient.layout.clusterBytes;
const usedL1 = ({ bytes, layout }: Patient): number => {
  let at = layout.l1At;
  while (u64(bytes, at) === 0n) at += 8;
  return at;
};
const past = ({ fileClusters, layout }: Patient): bigint =>
  BigInt((fileClusters + 9) * layout.clusterBytes);
const extension = ({ layout }: Patient, wanted: number): number =>
  layout.extensions.find(({ type }) => type === wanted)!.at;
const BITMAPS = 0x23852875;

/** The bytes of the first bitmap's table. */
function bitmapTable(patient: Patient): number {
  const { bytes } = patient;
  const directoryAt = Number(u64(bytes, extension(patient, BITMAPS) + 16));
  return Number(u64(bytes, directoryAt));
}

export const EXAMPLES: Readonly<Record<FindingCode, Example>> = {
  REFCOUNT_ZERO: example('version-3', (p) => setRefcount(p, clusterOf(p, standard(p)), 0n)),
  REFCOUNT_TOO_LOW: example('five-snapshots', (p) => {
    const shared = p.standard.find(({ at, entry }) => at > 0 && (entry & COPIED_BIT) === 0n)!;
    return setRefcount(p, clusterOf(p, shared.at), 1n);
  }),
  CLUSTER_LEAKED: example('amended-to-v3', (p) => setRefcount(p, p.free[0]!, 1n)),
  REFCOUNT_TOO_HIGH: example('version-3', (p) => setRefcount(p, clusterOf(p, standard(p)), 9n)),
  REFCOUNT_ABOVE_LIMIT: example('refcount-64', (p) =>
    setRefcount(p, clusterOf(p, standard(p)), 2n ** 32n),
  ),
  REFCOUNT_UNREADABLE: example('version-3', (p) =>
    change(p, p.layout.refcountTableAt, (was) => was | 0x200n),
  ),
  REFCOUNT_OVERFLOW: example('refcount-1', (p) => {
    const target = u64(p.bytes, standard(p, 0));
    return change(p, standard(p, 1), () => target);
  }),
  REFCOUNT_TABLE_ENTRY_RESERVED_BITS: example('version-3', (p) =>
    change(p, p.layout.refcountTableAt, (was) => was | 1n),
  ),
  REFCOUNT_BLOCK_MISALIGNED: example('version-3', (p) =>
    change(p, p.layout.refcountTableAt, (was) => was | 0x400n),
  ),
  REFCOUNT_BLOCK_PAST_END: example('version-3', (p) =>
    change(p, p.layout.refcountTableAt, () => past(p)),
  ),
  REFCOUNT_BLOCK_SHARED: example('version-3', (p) => {
    const block = u64(p.bytes, p.layout.refcountTableAt);
    return change(p, p.layout.refcountTableAt + 8, () => block);
  }),
  METADATA_PAST_END: example('version-3', (p) => {
    putU64(p.bytes, 40, past(p));
    return Number(past(p));
  }),
  METADATA_OVERLAP: example('version-3', (p) => {
    const table = u64(p.bytes, p.layout.l1At) & OFFSET_MASK;
    change(p, standard(p), (was) => (was & ~OFFSET_MASK) | table);
    return Number(table);
  }),
  L2_ENTRY_PAST_END: example('version-3', (p) =>
    change(p, standard(p), (was) => (was & ~OFFSET_MASK) | past(p)),
  ),
  L2_ENTRY_RESERVED_BITS: example('version-3', (p) =>
    change(p, standard(p), (was) => was | RESERVED_BIT),
  ),
  L2_ENTRY_MISALIGNED: example('version-3', (p) => change(p, standard(p), (was) => was | 0x200n)),
  L2_COPIED_SET: example('five-snapshots', (p) => {
    const shared = p.standard.find(({ active, entry }) => active && (entry & COPIED_BIT) === 0n)!;
    return change(p, shared.at, (was) => was | COPIED_BIT);
  }),
  L2_COPIED_MISSING: example('version-3', (p) => change(p, own(p).at, (was) => was & ~COPIED_BIT)),
  L2_COMPRESSED_COPIED: example('compressed-zlib', (p) =>
    change(p, p.compressed[0]!.at, (was) => was | COPIED_BIT),
  ),
  L2_COMPRESSED_IN_DATA_FILE_IMAGE: example('data-file', (p) =>
    change(p, standard(p), (was) => (was | COMPRESSED_BIT) & ~COPIED_BIT),
  ),
  L2_COMPRESSED_WITH_SUBCLUSTERS: example('extended-l2-zstd', (p) => {
    putU64(p.bytes, p.compressed[0]!.at + 8, 1n);
    return p.compressed[0]!.at;
  }),
  L2_SUBCLUSTERS_CONTRADICT: example('extended-l2', (p) => {
    putU64(p.bytes, standard(p) + 8, 0x0000_0001_0000_0001n);
    return standard(p);
  }),
  L2_SUBCLUSTERS_WITHOUT_CLUSTER: example('extended-l2', (p) => {
    putU64(p.bytes, standard(p), 0n);
    putU64(p.bytes, standard(p) + 8, 1n);
    return standard(p);
  }),
  ZERO_FLAG_MEANINGLESS: example('version-2', (p) => change(p, standard(p), (was) => was | 1n)),
  COPIED_WITHOUT_CLUSTER: example('version-3', (p) => change(p, standard(p), () => COPIED_BIT)),
  L1_ENTRY_PAST_END: example('version-3', (p) =>
    change(p, usedL1(p), (was) => (was & ~OFFSET_MASK) | past(p)),
  ),
  L1_ENTRY_RESERVED_BITS: example('version-3', (p) =>
    change(p, usedL1(p), (was) => was | RESERVED_BIT),
  ),
  L1_ENTRY_MISALIGNED: example('version-3', (p) => change(p, usedL1(p), (was) => was | 0x200n)),
  L1_COPIED_SET: example('version-3', (p) => {
    setRefcount(p, clusterOf(p, usedL1(p)), 2n);
    return usedL1(p);
  }),
  L1_COPIED_MISSING: example('version-3', (p) => change(p, usedL1(p), (was) => was & ~COPIED_BIT)),
  // QEMU leaves the VM state behind the active disk when it applies a snapshot.
  VM_STATE_IN_ACTIVE: example('vm-state', (p) => {
    const { l1At } = snapshotsOf(p.bytes).snapshots.find(({ vmStateBytes }) => vmStateBytes > 0)!;
    return change(p, p.layout.l1At + 8, () => u64(p.bytes, l1At + 8) & ~COPIED_BIT);
  }),
  VM_STATE_BEHIND_SIZE: example('vm-state', (p) => {
    const { at } = snapshotsOf(p.bytes).snapshots.find(({ vmStateBytes }) => vmStateBytes > 0)!;
    putU32(p.bytes, at + 32, 0);
    putU64(p.bytes, at + 40, 0n);
    return at;
  }),
  STALE_COPIED_IN_SNAPSHOTS: example('applied-and-deleted', (p) => {
    const stale = p.standard.filter(({ active, entry }) => !active && (entry & COPIED_BIT) !== 0n);
    return Math.floor(stale[0]!.at / p.layout.clusterBytes) * p.layout.clusterBytes;
  }),
  SNAPSHOT_TABLE_UNREADABLE: example('five-snapshots', (p) => {
    putU32(p.bytes, 60, 70_000);
    return 64;
  }),
  SNAPSHOT_EXTRA_TOO_LONG: example('five-snapshots', (p) => {
    putU32(p.bytes, p.layout.snapshotTableAt + 36, 1025);
    return p.layout.snapshotTableAt + 36;
  }),
  SNAPSHOT_EXTRA_MISSING: example('extra-data', (p) => p.layout.snapshotTableAt),
  SNAPSHOT_L1_MISALIGNED: example('five-snapshots', (p) =>
    change(p, p.layout.snapshotTableAt, (was) => was | 0x200n),
  ),
  SNAPSHOT_L1_TOO_LARGE: example('five-snapshots', (p) => {
    putU32(p.bytes, p.layout.snapshotTableAt + 8, 0x1000_0000);
    return p.layout.snapshotTableAt + 8;
  }),
  SNAPSHOT_L1_UNREADABLE: example('five-snapshots', (p) =>
    change(p, p.layout.snapshotTableAt, () => 1n << 62n),
  ),
  SNAPSHOT_L1_TOO_SHORT: example('five-snapshots', (p) => {
    putU64(p.bytes, p.layout.snapshotTableAt + 48, 1n << 40n);
    return p.layout.snapshotTableAt;
  }),
  SNAPSHOT_SIZE_TOO_LARGE: example('five-snapshots', (p) =>
    change(p, p.layout.snapshotTableAt + 48, () => 1n << 60n),
  ),
  SNAPSHOTS_IN_DATA_FILE_IMAGE: example('five-snapshots', (p) => {
    change(p, 72, (was) => was | 4n);
    return 64;
  }),
  SNAPSHOT_UNLISTED: example('five-snapshots', (p) => {
    const last = snapshotsOf(p.bytes).snapshots.at(-1)!.at;
    putU32(p.bytes, 60, 4);
    return last;
  }),
  SNAPSHOT_NAME_UNPRINTABLE: example('names-odd', (p) => p.layout.snapshotTableAt + 72),
  SNAPSHOT_ID_DUPLICATE: example('five-snapshots', (p) => secondSnapshotOfSameId(p)),
  SNAPSHOT_NAME_DUPLICATE: example('names-duplicate', (p) => p.layout.snapshotTableAt + 72),
  L1_OVER_HEADER: example('version-3', (p) => change(p, 40, () => 0n)),
  BITMAPS_UNREADABLE: example('bitmaps', (p) => {
    const directoryAt = Number(u64(p.bytes, extension(p, BITMAPS) + 16));
    putU64(p.bytes, directoryAt, u64(p.bytes, directoryAt) | 0x200n);
    return directoryAt;
  }),
  BITMAP_TABLE_ENTRY_INVALID: example('bitmaps', (p) =>
    change(p, bitmapTable(p), (was) => was | 0x200n),
  ),
  BITMAP_UNREADABLE: example('bitmaps', (p) => {
    const directoryAt = Number(u64(p.bytes, extension(p, BITMAPS) + 16));
    // granularity_bits of the first entry: a bitmap of single bytes can't cover the disk.
    p.bytes[directoryAt + 17] = 200;
    return bitmapTable(p);
  }),
  BITMAP_TABLE_TOO_LONG: example('bitmaps', (p) => {
    const directoryAt = Number(u64(p.bytes, extension(p, BITMAPS) + 16));
    putU32(p.bytes, directoryAt + 8, 2);
    return bitmapTable(p);
  }),
  BITMAP_IN_USE: example('bitmaps-in-use', bitmapTable),
  BITMAPS_STALE: example('bitmaps-autoclear-off', (p) => extension(p, BITMAPS) - 8),
  BITMAPS_EXTENSION_MISSING: example('version-3', (p) => change(p, 88, (was) => was | 1n)),
  EXTENSION_UNKNOWN: example('extension-unknown', () => 0),
  AUTOCLEAR_UNKNOWN: example('feature-autoclear-unknown', () => 88),
  SNAPSHOT_LOST: example('five-snapshots', (p) => {
    const { at } = snapshotsOf(p.bytes).snapshots.at(-1)!;
    p.bytes.fill(0, at, at + p.layout.clusterBytes / 2);
    return at;
  }),
  FILE_CUT_OFF: example('version-3', untilLastData, { left: untilLastData }),
  REFCOUNTS_CUT_OFF: example(
    'version-3',
    (p) => {
      const end = untilLastData(p);
      const last = lastData(p);
      for (const { at, entry } of p.standard) {
        if (Number(entry & OFFSET_MASK) === last) putU64(p.bytes, at, 0n);
      }
      putU64(p.bytes, p.layout.refcountTableAt + 8, BigInt(last));
      return end;
    },
    { left: untilLastData },
  ),
  DATA_FILE_DOUBTED: example('no-snapshots', (p) => {
    p.bytes[79]! |= 4;
    return 72;
  }),
  DATA_FILE_OFFSET_WRONG: example('data-file', (p) =>
    change(p, standard(p), (was) => was ^ (1n << 22n)),
  ),
  DISK_SIZE_TOO_SMALL: example('version-3', (p) => {
    const size = u64(p.bytes, 24);
    putU64(p.bytes, 24, size / 4n);
    return 24;
  }),
  TABLE_EMPTIED: example('version-3', (p) => {
    const table = Number(u64(p.bytes, usedL1(p)) & OFFSET_MASK);
    p.bytes.fill(0, table, table + p.layout.clusterBytes);
    return table;
  }),
  TABLE_UNREFERENCED: example('version-3', loseTable),
  REFCOUNTS_CONTRADICT: example('amended-to-v3', (p) => {
    setRefcount(p, p.free[0]!, 1n);
    setRefcount(p, clusterOf(p, standard(p)), 0n);
    return p.layout.refcountTableAt;
  }),
  SHARED_DATA_UNREFERENCED: example('no-snapshots', (p) => {
    const lost = p.standard.slice(0, 2);
    const clusters = lost.map(({ entry }) => Number(entry & OFFSET_MASK) / p.layout.clusterBytes);
    for (const { at } of lost) putU64(p.bytes, at, 0n);
    for (const cluster of clusters) setRefcount(p, cluster, 2n);
    return Math.min(...clusters) * p.layout.clusterBytes;
  }),
  CLUSTERS_DOUBTED: example('amended-to-v3', (p) => {
    setRefcount(p, p.free[0]!, 7n);
    return p.layout.refcountTableAt;
  }),
  LEAKS_NOT_ALL_SEEN: example('version-3', (p) => loseTable(p) * 0, { options: { lookBytes: 0 } }),
  CLUSTER_AT_TWO_PLACES: example('version-3', (p) => {
    const target = u64(p.bytes, standard(p, 0));
    change(p, standard(p, 1), () => target);
    return Number(target & OFFSET_MASK);
  }),
  CLUSTER_PERHAPS_LOST: example('version-3', (p) => {
    const table = loseTable(p);
    return blockAt(p.bytes, p.layout, 0) + (table / p.layout.clusterBytes) * 2;
  }),
  REFERENCES_PERHAPS_LOST: example('five-snapshots', (p) => loseTable(p) * 0),
  MARKED_DIRTY: example('dirty', () => 72),
  MARKED_CORRUPT: example('corrupt', () => 72),
};

/** Gives the second snapshot the id of the first; returns where its entry begins. */
function secondSnapshotOfSameId({ bytes, layout }: Patient): number {
  const at = layout.snapshotTableAt;
  const first = snapshotsOf(bytes).snapshots[0]!;
  const length = 40 + first.extraBytes + first.id.length + first.name.length;
  const second = at + Math.ceil(length / 8) * 8;
  bytes[second + 40 + first.extraBytes] = bytes[at + 40 + first.extraBytes]!;
  return second;
}

/** The damaged image of an example, and where the finding must point. */
export function damaged({ fixture, damage, left }: Example): { bytes: Uint8Array; at: number } {
  const patient = patientOf(loadFixture(fixture));
  const end = left?.(patient);
  const at = damage(patient);
  return { bytes: patient.bytes.subarray(0, end), at };
}
