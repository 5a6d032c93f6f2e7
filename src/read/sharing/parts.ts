/**
 * The parts of an image that clusters belong to. The L1 table of a disk maps guest data first and VM state behind it,
 * and each of the two is a part of its own: part `2 d` is the guest data of disk `d`, part `2 d + 1` its VM state.
 */
import type { Geometry } from '../../qcow2/geometry.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { offsetOf } from '../../l1l2/entry.js';
import type { DiskNumber } from '../../refs/disk-sets.js';
import type { PointerCollector } from '../../refs/pointers.js';
import type { WalkedDisk } from '../../refs/walk.js';

/** A part by its number. */
export type PartNumber = number;

/** The disk that a part is of. */
export function diskOfPart(part: PartNumber): DiskNumber {
  return part >>> 1;
}

/** Whether a part is the VM state of its disk. */
export function isVmState(part: PartNumber): boolean {
  return (part & 1) === 1;
}

/** The part of a disk's guest data. */
export function guestPart(disk: DiskNumber): PartNumber {
  return 2 * disk;
}

/** The part of a disk's VM state. */
export function vmStatePart(disk: DiskNumber): PartNumber {
  return 2 * disk + 1;
}

/** Adds the pointers of a disk's L1 table, in host order, as those of its two parts. */
export function addParts(
  { number }: WalkedDisk,
  diskSizeBytes: number,
  words: Uint32Array,
  geometry: Geometry,
  pointers: PointerCollector,
): void {
  const vmStateFrom = 2 * l1EntriesFor(diskSizeBytes, geometry);
  for (let i = 0; i < words.length; i += 2) {
    const offset = offsetOf(words[i]!, words[i + 1]!);
    if (offset !== 0)
      pointers.add(i >= vmStateFrom ? vmStatePart(number) : guestPart(number), offset);
  }
}
