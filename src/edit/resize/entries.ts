import { COMPRESSED, offsetOf, ZERO_FLAG } from '../../l1l2/entry.js';
import { ALL_SUBCLUSTERS } from '../../l1l2/new-entry.js';
import type { Image } from '../../image/image.js';

/** Single entries of an L2 table: host-order words, COPIED flags left to the planner. */

/** Makes entries from `first` up to, not including, `end` unallocated. */
export function clearEntries(words: Uint32Array, first: number, end: number, image: Image): void {
  const stride = image.geometry.l2EntryBytes / 4;
  words.fill(0, first * stride, end * stride);
}

/** What an entry says of the byte at `within` its cluster. */
export type Standing = 'unallocated' | 'zero' | 'data' | 'compressed';

/** How the byte `within` a guest cluster is kept, by the entry of the cluster. */
export function standingAt(
  words: Uint32Array,
  index: number,
  within: number,
  image: Image,
): Standing {
  const { l2EntryBytes, clusterBytes } = image.geometry;
  const first = index * (l2EntryBytes / 4);
  const high = words[first]!;
  const low = words[first + 1]!;
  if ((high & COMPRESSED) !== 0) return 'compressed';
  if (l2EntryBytes === 8) {
    if (image.header.version === 3 && (low & ZERO_FLAG) !== 0) return 'zero';
    return offsetOf(high, low) === 0 ? 'unallocated' : 'data';
  }
  const bit = 2 ** Math.floor((within * 32) / clusterBytes);
  if ((words[first + 2]! & bit) !== 0) return 'zero';
  return (words[first + 3]! & bit) === 0 ? 'unallocated' : 'data';
}

/** Makes the subclusters of an extended entry read as zeros, from subcluster `first` on. */
export function zeroSubclusters(words: Uint32Array, index: number, first: number): void {
  if (first >= 32) return;
  const mask = (ALL_SUBCLUSTERS << first) >>> 0;
  words[index * 4 + 2] = (words[index * 4 + 2]! | mask) >>> 0;
  words[index * 4 + 3] = (words[index * 4 + 3]! & ~mask) >>> 0;
}
