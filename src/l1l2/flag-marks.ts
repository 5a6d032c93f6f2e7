import { swapped } from '../base/words.js';
import type { Counts } from '../refcount/counts.js';
import { COPIED_BYTE } from './stored-scan.js';
import type { Scan } from './scan.js';

/** Clusters of a file that is marked at most; of a longer one the tables are walked a second time. */
export const MARKED_CLUSTERS_MAX = 2 ** 26;

/**
 * Which clusters entries name with the COPIED flag and which without it: 2 bits a cluster. With
 * them one walk over the tables is enough to know, once the refcounts are known, whether any flag
 * is wrong; which one it is takes another walk.
 */
export class FlagMarks {
  readonly #with: Uint32Array;
  readonly #without: Uint32Array;

  /** @param fileClusters at most MARKED_CLUSTERS_MAX: 16 MiB. */
  constructor(fileClusters: number) {
    const words = Math.ceil(fileClusters / 32);
    this.#with = new Uint32Array(words);
    this.#without = new Uint32Array(words);
  }

  /** Notes the entries of a table as it is stored, of which `addStoredReferences` said it is plain. */
  add(stored: Uint32Array, { clusterBits }: Scan): void {
    const [marksWith, marksWithout] = [this.#with, this.#without];
    const highShift = 32 - clusterBits;
    let word = 0;
    let flagged = 0;
    let unflagged = 0;
    for (let i = 0; i < stored.length; i += 2) {
      const first = stored[i]! | 0;
      const high = swapped(first) & 0x7fff_ffff;
      const cluster = (high << highShift) | (swapped(stored[i + 1]! | 0) >>> clusterBits);
      if (cluster === 0) continue;
      // Neighbours are mostly neighbours in the file, too.
      if (cluster >>> 5 !== word) {
        marksWith[word]! |= flagged;
        marksWithout[word]! |= unflagged;
        word = cluster >>> 5;
        flagged = 0;
        unflagged = 0;
      }
      if ((first & COPIED_BYTE) !== 0) flagged |= 1 << (cluster & 31);
      else unflagged |= 1 << (cluster & 31);
    }
    marksWith[word]! |= flagged;
    marksWithout[word]! |= unflagged;
  }

  /** Whether any entry's flag is not what the counts ask for: set at a count of exactly 1. */
  anyWrong({ values }: Counts): boolean {
    for (let word = 0; word < this.#with.length; word++) {
      const flagged = this.#with[word]!;
      const unflagged = this.#without[word]!;
      if ((flagged | unflagged) === 0) continue;
      const ones = onesAt(values, word * 32);
      if ((flagged & ~ones) !== 0 || (unflagged & ones) !== 0) return true;
    }
    return false;
  }
}

/** A bit for each of 32 counts, set where it is 1. */
function onesAt(values: Counts['values'], first: number): number {
  const length = Math.min(32, values.length - first);
  let ones = 0;
  for (let i = 0; i < length; i++) if (values[first + i] === 1) ones |= 1 << i;
  return ones;
}
