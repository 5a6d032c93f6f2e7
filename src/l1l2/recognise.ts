import { COMPRESSED, COPIED, judgeL1Entry, judgeL2Entry, offsetOf } from './entry.js';
import type { Scan } from './scan.js';

/** What the bytes of a cluster hold if they are taken for an L1 or an L2 table. */
export interface TableLook {
  /** Entries that name a place where a table or data can be. */
  readonly pointers: number;
  /** Of those, compressed ones; an L1 table has none. */
  readonly compressed: number;
  /** Of those, entries with the COPIED flag. */
  readonly copied: number;
}

/**
 * Looks at a cluster as if it were an L2 table.
 *
 * It can't be one if an entry is wrong, if two entries name the same cluster, or if it has too few pointers to tell
 * a table from chance. One pointer with the COPIED flag is enough, since few other bytes look so; without a flag it
 * takes two.
 *
 * Ours: guest data looks like a table hardly ever, since a word of eight bytes is an entry by chance once
 * in 2^64 divided by the clusters of the file.
 *
 * @param words (high, low) words in host order.
 * @returns undefined if it can't be a table.
 */
export function lookAtL2(words: Uint32Array, scan: Scan): TableLook | undefined {
  const { stride, format } = scan;
  const isExtended = stride === 4;
  return look(words, stride, (high, low, i) => {
    if (judgeL2Entry(high, low, format) !== undefined) return false;
    if (!isExtended) return true;
    const [zeroBits, allocatedBits] = [words[i + 2]!, words[i + 3]!];
    if ((high & COMPRESSED) !== 0) return (zeroBits | allocatedBits) === 0;
    const hasCluster = offsetOf(high, low) !== 0;
    return (zeroBits & allocatedBits) === 0 && (hasCluster || allocatedBits === 0);
  });
}

/** The same for an L1 table, whose entries name L2 tables. */
export function lookAtL1(words: Uint32Array, scan: Scan): TableLook | undefined {
  return look(words, 2, (high, low) => judgeL1Entry(high, low, scan.format) === undefined);
}

function look(
  words: Uint32Array,
  stride: number,
  isSound: (high: number, low: number, at: number) => boolean,
): TableLook | undefined {
  const named = new Set<number>();
  let [pointers, compressed, copied] = [0, 0, 0];
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if (!isSound(high, low, i)) return undefined;
    if ((high & COMPRESSED) !== 0) {
      compressed += 1;
      pointers += 1;
      continue;
    }
    const at = offsetOf(high, low);
    if (at === 0) continue;
    // No disk has one cluster at two places.
    if (named.has(at)) return undefined;
    named.add(at);
    pointers += 1;
    if ((high & COPIED) !== 0) copied += 1;
  }
  return pointers > 1 || copied > 0 ? { pointers, compressed, copied } : undefined;
}
