import type { Image } from '../../image/image.js';
import { lacksBitmaps } from '../../image/open.js';
import { AUTOCLEAR, KNOWN_AUTOCLEAR } from '../../qcow2/spec.js';

/**
 * The autoclear bits that an edit keeps: those whose claims stay true. The bitmaps bit of an image without bitmaps
 * is cleared: with it QEMU 7.2 marks the image as corrupt when it next writes to it.
 *
 * Spec: Header, autoclear_features.
 */
export function keptAutoclear(image: Pick<Image, 'header' | 'extensions'>): bigint {
  const known = image.header.autoclear & KNOWN_AUTOCLEAR;
  return lacksBitmaps(image) ? known & ~(1n << BigInt(AUTOCLEAR.bitmaps)) : known;
}
