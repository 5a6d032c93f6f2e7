import type { Extent, GuestDisk } from '../../../index.js';

/**
 * An extent by the names of `qemu-img map --output=json`, and its kind. QEMU calls "data" what has
 * clusters with content, "zero" what reads as zeros, "present" what some layer decides.
 */
export function extentJson(extent: Extent, disk: GuestDisk): Record<string, unknown> {
  const { start, length, depth, kind, at, reason } = extent;
  const { encrypted } = [disk, ...disk.chain][depth]!;
  return {
    start,
    length,
    depth,
    present: kind !== 'unallocated' && kind !== 'backing',
    zero: kind === 'zero' || kind === 'preallocated' || kind === 'unallocated',
    data: kind === 'data' || kind === 'compressed' || kind === 'preallocated',
    ...(at !== undefined && { offset: at }),
    kind,
    ...(reason !== undefined && { reason }),
    ...(encrypted && kind === 'data' && { encrypted: true }),
  };
}
