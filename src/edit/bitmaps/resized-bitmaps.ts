import type { OpenImage } from '../../image/image.js';
import { BitmapContent } from './bitmap-content.js';
import type { NextBitmap } from './next-bitmap.js';
import { bitmapsOf } from './next-bitmaps.js';
import { refuseLong } from './refuse.js';

/**
 * The bitmaps of an image whose disk gets another size. What a disk grows by is not noted. QEMU: hbitmap_truncate.
 *
 * @throws QsnapError LIMIT_EXCEEDED where one of them would take more bytes than QEMU loads; IMAGE_DAMAGED.
 */
export async function resizedBitmaps(
  image: OpenImage,
  diskSizeBytes: number,
): Promise<readonly NextBitmap[]> {
  const resized: NextBitmap[] = [];
  for (const bitmap of await bitmapsOf(image)) {
    const granularityBytes = 2 ** bitmap.granularityBits;
    refuseLong(Math.ceil(diskSizeBytes / granularityBytes), image.geometry.clusterBytes);
    const content = await BitmapContent.read(image, bitmap.stored!.bitmap);
    resized.push({ ...bitmap, content: await content.resized(diskSizeBytes) });
  }
  return resized;
}
