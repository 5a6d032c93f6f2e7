import { MiB } from '../base/units.js';
import type { PersistentBitmap } from '../qcow2/bitmap-directory.js';
import type { OpenImage } from '../image/image.js';
import { readTable } from './tables.js';

/** Entries that are read at a time. */
const BATCH_ENTRIES = (4 * MiB) / 8;

/**
 * Hands every entry of the tables of persistent bitmaps that is not 0 to `visit`: its two words and
 * where it lies in the file. Spec: Bitmap table.
 */
export async function visitBitmapEntries(
  { source, fileSizeBytes }: OpenImage,
  bitmaps: readonly PersistentBitmap[],
  visit: (high: number, low: number, at: number, bitmap: PersistentBitmap) => void,
): Promise<void> {
  for (const bitmap of bitmaps) {
    const { table } = bitmap;
    // Past the end of the file all reads as zero, and a table may claim 256 MiB of that.
    const end = Math.min(table.entries, Math.ceil((fileSizeBytes - table.at) / 8));
    for (let first = 0; first < end; first += BATCH_ENTRIES) {
      const entries = Math.min(BATCH_ENTRIES, end - first);
      const at = table.at + first * 8;
      const words = await readTable(source, at, entries);
      for (let i = 0; i < words.length; i += 2) {
        const high = words[i]!;
        const low = words[i + 1]!;
        if ((high | low) !== 0) visit(high, low, at + i * 4, bitmap);
      }
    }
  }
}
