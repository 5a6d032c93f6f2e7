import { maskOf, type Counts } from '../refcount/counts.js';
import type { Runs } from './runs.js';

/**
 * Which clusters entries name with the COPIED flag and which without it: 2 bits a cluster. With
 * them one walk over the tables is enough to know, once the refcounts are known, whether any flag
 * is wrong.
 */
export class FlagMarks {
  readonly #with: Uint32Array;
  readonly #without: Uint32Array;

  constructor(fileClusters: number) {
    const words = Math.ceil(fileClusters / 32);
    this.#with = new Uint32Array(words);
    this.#without = new Uint32Array(words);
  }

  /** Notes the flags of a table's entries. */
  add({ count, clusters, lengths, copied }: Runs): void {
    for (let run = 0; run < count; run++) {
      const marks = copied[run] === 1 ? this.#with : this.#without;
      const end = clusters[run]! + lengths[run]!;
      for (let cluster = clusters[run]!; cluster < end;) {
        const from = cluster & 31;
        const length = Math.min(32 - from, end - cluster);
        marks[cluster >>> 5]! |= maskOf(from, length);
        cluster += length;
      }
    }
  }

  /** Whether any entry's flag is not what the counts ask for: set at a count of exactly 1. */
  anyWrong(counts: Counts): boolean {
    for (let word = 0; word < this.#with.length; word++) {
      const flagged = this.#with[word]!;
      const unflagged = this.#without[word]!;
      if ((flagged | unflagged) === 0) continue;
      const ones = counts.onesAt(word);
      if ((flagged & ~ones) !== 0 || (unflagged & ones) !== 0) return true;
    }
    return false;
  }
}
