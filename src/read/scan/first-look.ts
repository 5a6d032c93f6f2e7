import { valueOfStored } from '../../base/words.js';
import { compressedOffsetHighBits } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';

/**
 * The first look at a cluster, at its bytes as they lie in the file. Most clusters hold guest data, and the first few
 * words other than 0 are mostly enough to tell such a cluster from a table.
 */

/** How many entries other than 0 are tried. One possible entry is enough, since others may be damaged. */
const ENTRIES_TRIED = 4;

/** The cluster holds nothing but zeros. */
export const ALL_ZERO = 0;
/** It can't be a table. */
export const NO_TABLE = 1;
/** It may be one: worth a look at every entry. */
export const PERHAPS_TABLE = 2;

/**
 * What the words from `from` up to `end` can be.
 *
 * @param stored as the host reads the bytes of the file.
 */
export function firstLook(
  stored: Uint32Array,
  from: number,
  end: number,
  scan: Scan,
): typeof ALL_ZERO | typeof NO_TABLE | typeof PERHAPS_TABLE {
  let tried = 0;
  for (let i = skipZeros(stored, from, end); i < end; i = skipZeros(stored, i, end)) {
    // Pairs of words, with extended L2 entries too: half of them are entries, and an L1 has no others.
    const entry = i - ((i - from) & 1);
    if (isPossible(stored[entry]! | 0, stored[entry + 1]! | 0, scan)) return PERHAPS_TABLE;
    tried += 1;
    if (tried === ENTRIES_TRIED) return NO_TABLE;
    i = entry + 2;
  }
  if (tried === 0) return ALL_ZERO;
  // A table of one entry, which is damaged, has no other.
  return tried === 1 ? PERHAPS_TABLE : NO_TABLE;
}

/** Index of the first word at or after `from` that is not 0; `end` if there is none. */
function skipZeros(stored: Uint32Array, from: number, end: number): number {
  let i = from;
  while (
    i + 8 <= end &&
    (stored[i]! |
      stored[i + 1]! |
      stored[i + 2]! |
      stored[i + 3]! |
      stored[i + 4]! |
      stored[i + 5]! |
      stored[i + 6]! |
      stored[i + 7]!) ===
      0
  ) {
    i += 8;
  }
  while (i < end && stored[i] === 0) i += 1;
  return i;
}

/** `judgeL2Entry` without its finer points: nothing is taken for impossible that is possible. */
function isPossible(first: number, second: number, scan: Scan): boolean {
  const high = valueOfStored(first);
  const low = valueOfStored(second);
  const { clusterBits, highScale, fileClusters } = scan;
  const flags = high >>> 30;
  if (flags === 3) return false;
  if (flags === 1) {
    const offsetBits = 2 ** compressedOffsetHighBits(clusterBits) - 1;
    return (high & offsetBits) * highScale + (low >>> clusterBits) < fileClusters;
  }
  if ((high & 0x3f00_0000) !== 0 || (low & scan.lowMustBeClear) !== 0) return false;
  return (high & 0x00ff_ffff) * highScale + (low >>> clusterBits) < fileClusters;
}
