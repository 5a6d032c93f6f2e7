import { newRuns, type Runs } from '../l1l2/runs.js';
import { addReferences, anyCopied, NO_PROBLEM, type Scan, type Taken } from '../l1l2/scan.js';
import { addStoredReferences } from '../l1l2/stored-scan.js';
import type { Counts } from '../refcount/counts.js';

/**
 * What becomes of an entry that can't be counted as it is: it is no entry, its clusters are none of the file, or
 * its count would leave the range. The words are in host order, and may be changed.
 *
 * @returns whether the entry was mended and is to be counted again.
 */
export type Flawed = (entry: number, words: Uint32Array) => boolean;

/** Counts what L2 tables refer to, one table after the other. */
export class TableCounter {
  /** What the table that was counted last has, where it is plain. */
  readonly runs: Runs;
  readonly #scan: Scan;
  readonly #counts: Counts;

  constructor(scan: Scan, counts: Counts) {
    this.#scan = scan;
    this.#counts = counts;
    this.runs = newRuns(scan);
  }

  /**
   * Adds `weight` references for each entry of a table: a plain one, of runs of whole clusters, run by run, any other
   * entry by entry; it ends in host order.
   *
   * @param stored big-endian, as in the file.
   * @param taken is told of whole clusters that were counted before.
   */
  count(stored: Uint32Array, weight: number, flawed: Flawed, taken?: Taken): void {
    const problem = addStoredReferences(stored, this.#scan, weight, this.#counts, this.runs, taken);
    this.#goOn(stored, weight, problem, flawed, taken);
  }

  /** The same for a table that was brought into host order before. */
  countInHostOrder(words: Uint32Array, weight: number, flawed: Flawed, taken?: Taken): void {
    this.lookAt(words);
    const problem = addReferences(words, this.#scan, weight, this.#counts, 0, taken);
    this.#goOn(words, weight, problem, flawed, taken);
  }

  /** Notes in `runs` what a table in host order has, and counts nothing. */
  lookAt(words: Uint32Array): void {
    this.runs.isPlain = false;
    this.runs.anyCopied = anyCopied(words, this.#scan);
  }

  #goOn(
    words: Uint32Array,
    weight: number,
    problem: number,
    flawed: Flawed,
    taken: Taken | undefined,
  ): void {
    for (let entry = problem; entry !== NO_PROBLEM;) {
      const next = flawed(entry, words) ? entry : entry + 1;
      entry = addReferences(words, this.#scan, weight, this.#counts, next, taken);
    }
  }
}
