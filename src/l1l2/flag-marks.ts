import { setBits } from '../refcount/bits.js';
import type { Counts } from '../refcount/counts.js';
import { COMPRESSED, COPIED } from './entry.js';
import type { Runs } from './runs.js';
import type { Scan } from './scan.js';

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
      setBits(marks, clusters[run]!, clusters[run]! + lengths[run]!);
    }
  }

  /** Notes the flags of a table in host order that has more than runs. All its entries are sound. */
  addEntries(words: Uint32Array, { stride, clusterBits, highScale }: Scan): void {
    for (let i = 0; i < words.length; i += stride) {
      const high = words[i]!;
      if ((high & COMPRESSED) !== 0) continue;
      const cluster = (high & 0x00ff_ffff) * highScale + (words[i + 1]! >>> clusterBits);
      const marks = (high & COPIED) !== 0 ? this.#with : this.#without;
      if (cluster !== 0) marks[cluster >>> 5]! |= 1 << (cluster & 31);
    }
  }

  /** Whether any entry's flag is not what the counts ask for: set at a count of exactly 1. */
  anyWrong(counts: Counts): boolean {
    const { length } = this.#with;
    for (let word = 0; word < length;) {
      const ones = counts.onesAt(word);
      const end = counts.endOfAlike(word, length);
      for (; word < end; word++) {
        if (((this.#with[word]! & ~ones) | (this.#without[word]! & ones)) !== 0) return true;
      }
    }
    return false;
  }
}
