import { newRuns, type Runs } from '../l1l2/runs.js';
import { addReferences, anyCopied, NO_PROBLEM, type Scan, type Taken } from '../l1l2/scan.js';
import { addStoredReferences } from '../l1l2/stored-scan.js';
import type { Counts } from '../refcount/counts.js';

/**
 * Is told of an entry that can't be counted: it can't be right, it names clusters outside the file, or a count would
 * leave its range. The words are in host order; the callee may change them to mend the entry.
 *
 * @returns whether the entry was mended and is to be counted again.
 */
export type Flawed = (entry: number, words: Uint32Array) => boolean;

/** Counts what L2 tables refer to, one table after the other. */
export class TableCounter {
  /** The runs of the table that was counted last, if it is plain. */
  readonly runs: Runs;
  readonly #scan: Scan;
  readonly #counts: Counts;

  constructor(scan: Scan, counts: Counts) {
    this.#scan = scan;
    this.#counts = counts;
    this.runs = newRuns(scan);
  }

  /**
   * Adds `weight` references for each entry of a table. A plain table is counted run by run. Any other is turned to
   * host order, in place, and counted entry by entry.
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
