import { ownSnapshot } from '../../image/own-snapshot.js';
import type { OpenImage } from '../../image/image.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { ACTIVE_DISK, type DiskNumber } from '../../refs/disk-sets.js';
import { disksOf } from '../../refs/walk.js';
import { diskOfPart, guestPart, isVmState, vmStatePart } from './parts.js';
import { l1Bytes } from './l1-bytes.js';
import { shortenedBytes, snapshotEntryBytes } from './snapshot-entries.js';
import { readSharing, type Sharing, type SharingOptions } from './sharing.js';
import type { Space } from './space.js';

/**
 * Bytes of the image file that become free, in whole clusters. A cluster with a refcount that is too high becomes free by
 * a repair only.
 */
export interface FreedBytes {
  readonly guestDataBytes: number;
  readonly vmStateBytes: number;
  /** L1 and L2 tables, and the part of the snapshot table that is no longer needed. */
  readonly tableBytes: number;
  /** All of them. */
  readonly freedBytes: number;
}

/** What one disk takes of the image file, in whole clusters. */
export interface DiskUsage {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  /** Guest data that the disk has: alone and with others. */
  readonly mappedBytes: number;
  /** Guest data that no other disk has: free if this one alone went. */
  readonly exclusiveBytes: number;
  /** Guest data that other disks have, too. */
  readonly sharedBytes: number;
  /** VM state, alone and with others. */
  readonly vmStateBytes: number;
  /** The L1 table and the L2 tables, alone and with others. */
  readonly tableBytes: number;
  /** What deleting this snapshot alone frees; undefined for the active disk. */
  readonly ifDeleted: FreedBytes | undefined;
}

/** What the disks of an image cost. */
export interface ImageUsage {
  readonly active: DiskUsage;
  /** In the order of the snapshot table. */
  readonly snapshots: readonly DiskUsage[];
  readonly space: Space;
  /** What the disks have in common: for `freedByDeleting` and `sharersOf`. */
  readonly sharing: Sharing;
}

/**
 * Measures what each disk of an image costs, by one walk over its tables and refcounts.
 *
 * ```ts
 * const image = await openImage(device);
 * const usage = await measureUsage(image);
 * for (const { snapshot, exclusiveBytes, ifDeleted } of usage.snapshots) {
 *   console.log(snapshot?.name, exclusiveBytes, ifDeleted?.freedBytes);
 * }
 * // Two snapshots may free more than the sum of both: what only they share.
 * const [first, second] = image.snapshots;
 * if (first && second) console.log(freedByDeleting(usage, [first, second]).freedBytes);
 * ```
 *
 * @throws QsnapError IMAGE_DAMAGED for a table entry that can't be right, READ_FAILED, LIMIT_EXCEEDED, ABORTED.
 * Ours: what a compressed cluster takes is counted as the host clusters that it lies in.
 */
export async function measureUsage(
  image: OpenImage,
  options: SharingOptions = {},
): Promise<ImageUsage> {
  const sharing = await readSharing(image, options);
  const [active, ...snapshots] = usageOfDisks(sharing);
  return { active: active!, snapshots, space: sharing.space, sharing };
}

/**
 * What deleting snapshots together frees. The result for several is no sum: what only these have in common becomes free
 * with the last of them.
 *
 * ```ts
 * const image = await openImage(device);
 * const old = image.snapshots.filter(({ date }) => date.seconds < 1_700_000_000);
 * console.log(freedByDeleting(await measureUsage(image), old).freedBytes);
 * ```
 *
 * @param snapshots of the image; naming one twice is the same as once.
 * @throws QsnapError SNAPSHOT_STALE.
 */
export function freedByDeleting(
  { sharing }: Pick<ImageUsage, 'sharing'>,
  snapshots: readonly Snapshot[],
): FreedBytes {
  const { image, parts, data, tables } = sharing;
  const gone = new Set(snapshots.map((one) => ownSnapshot(image, one)));
  const goes = parts.fold(true, (so, part) => {
    const snapshot = image.snapshots[diskOfPart(part) - 1];
    return so && snapshot !== undefined && gone.has(snapshot);
  });
  const isGuest = guestSets(sharing);
  const bytes = {
    guest: 0,
    vmState: 0,
    tables: freedTableBytes(image, gone, snapshotEntryBytes(image)),
  };
  for (let set = 1; set < parts.size; set++) {
    if (!goes[set]!) continue;
    if (isGuest[set]!) bytes.guest += data[set] ?? 0;
    else bytes.vmState += data[set] ?? 0;
    bytes.tables += tables[set] ?? 0;
  }
  return freedOf(bytes.guest, bytes.vmState, bytes.tables);
}

/** Guest data of a disk that another disk has, too. */
export interface SharedBytes {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly bytes: number;
}

/**
 * Which disks share guest data with a disk, and how much; those that share most come first.
 *
 * ```ts
 * const usage = await measureUsage(await openImage(device));
 * for (const { snapshot, bytes } of sharersOf(usage, undefined)) {
 *   console.log('the active disk shares', bytes, 'bytes with', snapshot?.name);
 * }
 * ```
 *
 * @param snapshot of the image; undefined: the active disk.
 * @throws QsnapError SNAPSHOT_STALE.
 */
export function sharersOf(
  { sharing: { image, parts, data } }: Pick<ImageUsage, 'sharing'>,
  snapshot: Snapshot | undefined,
): readonly SharedBytes[] {
  const disk = snapshot === undefined ? ACTIVE_DISK : ownSnapshot(image, snapshot).index + 1;
  const has = parts.having(guestPart(disk));
  const shared = data.map((bytes, set) => bytes * has[set]!);
  const byPart = parts.sumsByDisk(shared, 2 * image.snapshots.length + 2);
  return disksOf(image)
    .map((other) => ({ snapshot: other.snapshot, bytes: byPart[guestPart(other.number)]! }))
    .filter(({ bytes }, number) => number !== disk && bytes > 0)
    .sort((a, b) => b.bytes - a.bytes);
}

function usageOfDisks(sharing: Sharing): readonly DiskUsage[] {
  const { image, parts, data, tables, dataFileBytes } = sharing;
  const disks = disksOf(image);
  const isGuest = guestSets(sharing);
  const guest = data.map((bytes, set) => (isGuest[set]! ? bytes : 0));
  const vmState = data.map((bytes, set) => (isGuest[set]! ? 0 : bytes));
  const alone = { guest: newSums(disks), vmState: newSums(disks), tables: newSums(disks) };
  for (const [set, disk] of onlyDisks(sharing).entries()) {
    if (disk === undefined) continue;
    alone.guest[disk]! += guest[set] ?? 0;
    alone.vmState[disk]! += vmState[set] ?? 0;
    alone.tables[disk]! += tables[set] ?? 0;
  }
  const partCount = 2 * disks.length;
  const [guestByPart, vmByPart] = [guest, vmState].map((of) => parts.sumsByDisk(of, partCount));
  const tablesByDisk = tableSums(sharing, disks.length);
  const sizes = snapshotEntryBytes(image);
  return disks.map(({ number, l1, snapshot }) => {
    const inDataFile = snapshot === undefined ? dataFileBytes : 0;
    const mappedBytes = guestByPart![guestPart(number)]! + inDataFile;
    const exclusiveBytes = alone.guest[number]! + inDataFile;
    return {
      snapshot,
      mappedBytes,
      exclusiveBytes,
      sharedBytes: mappedBytes - exclusiveBytes,
      vmStateBytes: vmByPart![vmStatePart(number)]!,
      tableBytes: tablesByDisk[number]! + l1Bytes(image.geometry, l1.entries),
      ifDeleted:
        snapshot &&
        freedOf(
          alone.guest[number]!,
          alone.vmState[number]!,
          alone.tables[number]! + freedTableBytes(image, [snapshot], sizes),
        ),
    };
  });
}

function freedOf(guestDataBytes: number, vmStateBytes: number, tableBytes: number): FreedBytes {
  const freedBytes = guestDataBytes + vmStateBytes + tableBytes;
  return { guestDataBytes, vmStateBytes, tableBytes, freedBytes };
}

const newSums = (disks: readonly unknown[]): Float64Array => new Float64Array(disks.length);

/** By set: whether the guest data of any disk is in it. Else it has VM state alone. */
function guestSets({ parts }: Sharing): readonly boolean[] {
  return parts.fold(false, (so, part) => so || !isVmState(part));
}

/** By set: the one disk that all of its parts are of; undefined where there are several. */
function onlyDisks({ parts }: Sharing): readonly (DiskNumber | undefined)[] {
  const NONE = -1;
  const SEVERAL = -2;
  const only = parts.fold(NONE, (so, part) => {
    const disk = diskOfPart(part);
    return so === NONE || so === disk ? disk : SEVERAL;
  });
  return only.map((disk) => (disk < 0 ? undefined : disk));
}

/** By disk: bytes of the L2 tables that it has. */
function tableSums({ parts, tables }: Sharing, disks: number): Float64Array {
  const byPart = parts.sumsByDisk(tables, 2 * disks);
  // A table that maps both guest data and VM state would be odd; it counts for both.
  return new Float64Array(disks).map((_, disk) => {
    return byPart[guestPart(disk)]! + byPart[vmStatePart(disk)]!;
  });
}

/** L1 tables of snapshots that go, and what the snapshot table has too much without their entries. */
function freedTableBytes(
  image: OpenImage,
  gone: Iterable<Snapshot>,
  sizes: readonly number[],
): number {
  const { snapshotTableBytes, geometry } = image;
  const table = { snapshotTableBytes, clusterBytes: geometry.clusterBytes, entryBytes: sizes };
  let freed = 0;
  const positions: number[] = [];
  for (const { index, l1 } of gone) {
    positions.push(index);
    freed += l1Bytes(geometry, l1.entries);
  }
  return freed + shortenedBytes(table, positions);
}
