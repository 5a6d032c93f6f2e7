/** A disk whose copy lies over a backing file, with the extents that decide what the copy leaves to it. */
import type { Extent, ExtentKind, GuestDisk } from '../../../index.js';
import { diskWith } from './disk-with.js';

/**
 * The same disk. What its own layer says nothing about is left to the backing file of the copy if
 * there is a layer below that has it, and is zero if not; past the end of that backing file all
 * zeros come by themselves.
 *
 * @param backingBytes size of the copy's backing disk.
 */
export function overlaidDisk(disk: GuestDisk, backingBytes: number): GuestDisk {
  return diskWith(disk, {
    extents: async function* (from, to) {
      for await (const batch of disk.extents(from, to)) {
        yield batch.flatMap((extent) => decided(extent, backingBytes));
      }
    },
  });
}

const ZERO_KINDS: ReadonlySet<ExtentKind> = new Set(['unallocated', 'zero', 'preallocated']);

function decided(extent: Extent, backingBytes: number): Extent[] {
  const { start, length, depth, kind } = extent;
  if (depth > 0 || !ZERO_KINDS.has(kind)) return [extent];
  const hidden = Math.min(length, Math.max(0, backingBytes - start));
  const parts: Extent[] = [
    { start, length: hidden, kind: 'zero', depth: 0 },
    { start: start + hidden, length: length - hidden, kind: 'unallocated', depth: 0 },
  ];
  return parts.filter((part) => part.length > 0);
}
