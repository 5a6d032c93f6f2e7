/** A disk with zeros behind its end, to fill up the last cluster of a longer one. */
import type { GuestDisk } from '../../../index.js';
import { diskWith } from './disk-with.js';

/** The same disk, but `diskBytes` long, which is not less than it was. */
export async function paddedDisk(disk: GuestDisk, diskBytes: number): Promise<GuestDisk> {
  const ownBytes = await disk.sizeBytes();
  if (ownBytes === diskBytes) return disk;
  return diskWith(disk, {
    sizeBytes: () => Promise.resolve(diskBytes),
    extents: async function* (from, to) {
      if (from < ownBytes) yield* disk.extents(from, Math.min(to, ownBytes));
      const start = Math.max(from, ownBytes);
      if (to > start) yield [{ start, length: to - start, kind: 'unallocated', depth: 0 }];
    },
  });
}
