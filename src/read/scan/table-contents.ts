import { COMPRESSED, COPIED, judgeL1Entry, judgeL2Entry, offsetOf } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';

/** The entries of a cluster that is taken for a table, by kind. */
export interface TableContents {
  /** Sound entries that name a place. */
  readonly pointers: number;
  /** Of those, with the COPIED flag. */
  readonly copied: number;
  /** Of those, compressed ones. */
  readonly compressed: number;
  /** Sound entries that read as zeros and name no place. */
  readonly zeros: number;
  /** Entries that can't be right. */
  readonly flawed: number;
}

/** A table may have one entry that is damaged, or one in so many. */
const SOUND_TO_ONE_FLAWED = 16;

/**
 * Whether the contents of a cluster may be a table. One pointer is enough here: later steps decide by the pointers to
 * the cluster and by the clusters that it names.
 */
export function isTableLike({ pointers, zeros, flawed }: TableContents): boolean {
  const sound = pointers + zeros;
  if (flawed > 1 && flawed * SOUND_TO_ONE_FLAWED > sound) return false;
  return pointers + flawed > 0 || zeros > 1;
}

/**
 * Looks at every entry of a cluster as at those of an L2 table.
 *
 * @param words (high, low) words in host order.
 */
export function contentsAsL2(words: Uint32Array, scan: Scan): TableContents {
  return contentsOf(words, scan.stride, (i) => isSoundL2(words, i, scan));
}

/** The same for an L1 table, whose entries take eight bytes in every image. */
export function contentsAsL1(words: Uint32Array, scan: Scan): TableContents {
  return contentsOf(
    words,
    2,
    (i) => judgeL1Entry(words[i]!, words[i + 1]!, scan.format) === undefined,
  );
}

/** Whether the L2 entry at word `i` is sound, its subclusters included. */
export function isSoundL2(words: Uint32Array, i: number, { stride, format }: Scan): boolean {
  const high = words[i]!;
  const low = words[i + 1]!;
  if (judgeL2Entry(high, low, format) !== undefined) return false;
  if (stride === 2) return true;
  const [zeroBits, allocatedBits] = [words[i + 2]!, words[i + 3]!];
  if ((high & COMPRESSED) !== 0) return (zeroBits | allocatedBits) === 0;
  return (zeroBits & allocatedBits) === 0 && (offsetOf(high, low) !== 0 || allocatedBits === 0);
}

function contentsOf(
  words: Uint32Array,
  stride: number,
  isSound: (i: number) => boolean,
): TableContents {
  let [pointers, copied, compressed, zeros, flawed] = [0, 0, 0, 0, 0];
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]!;
    const low = words[i + 1]!;
    if ((high | low) === 0 && (stride === 2 || (words[i + 2]! | words[i + 3]!) === 0)) continue;
    if (!isSound(i)) {
      flawed += 1;
      continue;
    }
    if ((high & COMPRESSED) !== 0) compressed += 1;
    else if (offsetOf(high, low) === 0) {
      zeros += 1;
      continue;
    } else if ((high & COPIED) !== 0) copied += 1;
    pointers += 1;
  }
  return { pointers, copied, compressed, zeros, flawed };
}
