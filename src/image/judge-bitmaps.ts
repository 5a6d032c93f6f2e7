import type { PersistentBitmap } from '../qcow2/bitmap-directory.js';
import { type EntryProblem, offsetOf } from '../l1l2/entry.js';
import type { Image } from './image.js';

/** Why QEMU can't load a bitmap; it opens no image that has such a one. */
export type BitmapFault =
  | {
      readonly kind: 'unreadable';
      /** In words that complete "the bitmap …". */
      readonly problem: string;
    }
  | { readonly kind: 'table-too-long'; readonly entries: number; readonly needed: number };

/**
 * What is wrong with a bitmap by its directory entry, or undefined.
 *
 * QEMU: block/qcow2-bitmap.c, check_dir_entry and load_bitmap_data. A bitmap that was not saved properly is not
 * loaded, so its table may have any length.
 */
export function judgeBitmap(
  bitmap: PersistentBitmap,
  { header, geometry }: Pick<Image, 'header' | 'geometry'>,
): BitmapFault | undefined {
  const { problem, inUse, table, granularityBytes } = bitmap;
  if (problem !== undefined) return { kind: 'unreadable', problem };
  if (inUse) return undefined;
  const { entries } = table;
  const bits = entries * geometry.clusterBytes * 8;
  if (header.diskSizeBytes > bits * granularityBytes) {
    return { kind: 'unreadable', problem: 'is too short for the disk' };
  }
  // Bits are kept in words of 64.
  const words = Math.ceil(header.diskSizeBytes / granularityBytes / 64);
  const needed = Math.ceil((words * 8) / geometry.clusterBytes);
  return entries > needed ? { kind: 'table-too-long', entries, needed } : undefined;
}

/**
 * What is wrong with an entry of a bitmap's table, wherever the file ends; undefined: it names a cluster, or
 * none. Spec: Bitmap table.
 */
export function judgeBitmapEntry(
  high: number,
  low: number,
  clusterBytes: number,
): EntryProblem | undefined {
  const offset = offsetOf(high, low);
  // Bit 0 says that all bits are set where no cluster is named.
  const reserved = offset === 0 ? 0x1fe : 0x1ff;
  if ((high & 0xff00_0000) !== 0 || (low & reserved) !== 0) return 'reserved-bits';
  return offset % clusterBytes === 0 ? undefined : 'misaligned';
}
