import { ACTIVE_DISK, type DiskNumber } from '../../refs/disk-sets.js';
import { diskOfPart, guestPart, isVmState } from './parts.js';
import type { Sharing } from './sharing.js';

/** What one disk shares with the others, seen in the order of the snapshot table. */
export interface SharedInOrder {
  /** By disk: bytes of guest data that it shares with the disk that is asked about. */
  readonly with: Float64Array;
  /**
   * Whether a snapshot from before has all that the disk asked about shares with still older ones. It would have to, if
   * the disk grew from it.
   */
  hasAllBefore(disk: DiskNumber): boolean;
}

/** Tells of each disk what it shares: a sum over all sets, and no look at a table. */
export function sharedInOrder({
  image,
  parts,
  data,
}: Pick<Sharing, 'image' | 'parts' | 'data'>): (disk: DiskNumber) => SharedInOrder {
  const disks = image.snapshots.length + 1;
  // By set: the first snapshot that has it as guest data.
  const firsts = parts.fold(disks, (so, part) => {
    const isSnapshot = !isVmState(part) && diskOfPart(part) !== ACTIVE_DISK;
    return so === disks && isSnapshot ? diskOfPart(part) : so;
  });
  return (disk) => {
    const has = parts.having(guestPart(disk));
    const shared = data.map((bytes, set) => bytes * has[set]!);
    const byPart = parts.sumsByDisk(shared, 2 * disks);
    // By disk: what is shared with it and with none before it, and what is shared with any before it.
    const beginsAt = new Float64Array(disks + 1);
    for (let set = 0; set < shared.length; set++) beginsAt[firsts[set]!]! += shared[set]!;
    const beginsBefore = new Float64Array(disks + 1);
    for (let i = 1; i <= disks; i++) beginsBefore[i] = beginsBefore[i - 1]! + beginsAt[i - 1]!;
    const withDisk = new Float64Array(disks).map((_, other) => byPart[guestPart(other)]!);
    return {
      with: withDisk,
      hasAllBefore: (other) => withDisk[other]! - beginsAt[other]! === beginsBefore[other]!,
    };
  };
}
