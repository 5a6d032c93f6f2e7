import type { OpenImage } from '../../image/image.js';
import { BitmapContent } from './bitmap-content.js';
import type { NextBitmap } from './next-bitmap.js';
import { bitmapsOf } from './next-bitmaps.js';

/** A stretch of the disk that is written. */
interface Written {
  readonly at: number;
  readonly length: number;
}

/**
 * The bitmaps of an image into which this is written: those that note changes have it. Nobody relies on one that was not
 * saved properly, so that it stays as it is, as in QEMU.
 *
 * @returns undefined where none notes anything.
 * @throws QsnapError IMAGE_DAMAGED.
 */
export async function notingBitmaps(
  image: OpenImage,
  changes: readonly Written[],
): Promise<readonly NextBitmap[] | undefined> {
  const isNoting = ({ auto, inUse }: Pick<NextBitmap, 'auto' | 'inUse'>): boolean => auto && !inUse;
  if (!image.bitmaps.some(isNoting)) return undefined;
  const noted: NextBitmap[] = [];
  for (const bitmap of await bitmapsOf(image)) {
    if (!isNoting(bitmap)) {
      noted.push(bitmap);
      continue;
    }
    const content = await BitmapContent.read(image, bitmap.stored!.bitmap);
    for (const { at, length } of changes) await content.note(at, at + length);
    noted.push({ ...bitmap, content });
  }
  return noted;
}
