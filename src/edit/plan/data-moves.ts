import { assert } from '../../base/assert.js';
import { FlagMarks } from '../../l1l2/flag-marks.js';
import { addRuns, type Runs } from '../../l1l2/runs.js';
import { addReferences, isOne, NO_PROBLEM, type Scan } from '../../l1l2/scan.js';
import { visitBits } from '../../refcount/bits.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import type { EditTally } from './tally.js';

/**
 * How an edit moves the refcounts of guest data. Each L2 table whose number of pointers changes passes the
 * difference on to every cluster that it refers to. The audit notes the moves while it has the table in
 * memory, so that no table is read twice; they are carried out when the refcounts are known.
 *
 * ```
 * L2 table   pointers before, after   each of its clusters
 *    a              2       3         #up   + 1
 *    b              3       1         #down + 2
 *                                     refcount after = stored - #down + #up
 * ```
 */
export class DataMoves {
  /** Whether any refcount moves. */
  any = false;
  readonly #tally: EditTally;
  readonly #scan: Scan;
  readonly #down: Counts;
  readonly #up: Counts;
  readonly #marks: FlagMarks;
  /** By index in the tally: the first cluster of the table's first run; 0 if `#marks` has not its flags. */
  readonly #first: Uint32Array;
  readonly #firstCopied: Uint8Array;

  /** @param clusters how many the ledger covers. */
  constructor(tally: EditTally, scan: Scan, clusters: number) {
    this.#tally = tally;
    this.#scan = scan;
    const { geometry, fileClusters } = scan.format;
    this.#down = newCounts(clusters, geometry, REFCOUNT_CAP);
    this.#up = newCounts(clusters, geometry, REFCOUNT_CAP);
    this.#marks = new FlagMarks(fileClusters);
    this.#first = new Uint32Array(tally.offsets.length);
    this.#firstCopied = new Uint8Array(tally.offsets.length);
  }

  /**
   * Notes the moves that a sound table brings.
   *
   * @param words of the table, in host order unless `runs` says that it is plain.
   */
  add(index: number, words: Uint32Array, runs: Runs): void {
    const { before, kept, written } = this.#tally;
    const by = kept[index]! + written[index]! - before[index]!;
    if (by !== 0) {
      this.any = true;
      const to = by < 0 ? this.#down : this.#up;
      const times = Math.abs(by);
      const problem = runs.isPlain
        ? addRuns(runs, times, to)
        : addReferences(words, this.#scan, times, to);
      assert(problem === NO_PROBLEM, `entry ${problem} of a sound table is right`);
    }
    if (!runs.isPlain || runs.count === 0 || !this.isAlone(index)) return;
    this.#marks.add(runs);
    this.#first[index] = runs.clusters[0]!;
    this.#firstCopied[index] = runs.copied[0]!;
  }

  /** Whether the new active L1 points at the table, and no other does: then its flags mean something. */
  isAlone(index: number): boolean {
    const { written, writtenActive, kept } = this.#tally;
    return writtenActive[index] === 1 && written[index] === 1 && kept[index] === 0;
  }

  /**
   * Moves the counts: down first. Otherwise a count could pass the highest refcount on the way to a lower one.
   *
   * @returns the first cluster whose refcount the width can't hold, if there is one.
   */
  moveCounts(counts: Counts): number | undefined {
    const missing = move(counts, this.#down, -1);
    assert(missing === undefined, 'an audited refcount covers its references');
    return move(counts, this.#up, 1);
  }

  /**
   * Whether the COPIED flags of a table are right, as far as is known without reading it again. For tables
   * that `isAlone` holds for.
   */
  flags(counts: Counts): (index: number) => 'right' | 'wrong' | 'unsure' {
    const anyWrong = this.#marks.anyWrong(counts);
    return (index) => {
      const first = this.#first[index]!;
      if (first === 0) return 'unsure';
      if (!anyWrong) return 'right';
      return isOne(counts, first) === (this.#firstCopied[index] === 1) ? 'unsure' : 'wrong';
    };
  }
}

function move(counts: Counts, moves: Counts, sign: 1 | -1): number | undefined {
  const wordsABlock = 2 ** moves.blockShift / 32;
  for (let block = 0; block < moves.touched.length; block++) {
    if (moves.touched[block] === 0) continue;
    const end = (block + 1) * wordsABlock;
    for (let word = block * wordsABlock; word < end;) {
      const by = moves.alikeAt(word);
      if (by === undefined) {
        const full = moveWord(counts, moves, sign, word);
        if (full !== undefined) return full;
        word += 1;
        continue;
      }
      const next = moves.endOfAlike(word, end);
      const clusters = (next - word) * 32;
      const changed = by === 0 ? clusters : counts.changeRun(word * 32, clusters, sign * by);
      if (changed < clusters) return word * 32 + changed;
      word = next;
    }
  }
  return undefined;
}

/** Moves the counts of a word whose clusters move by different numbers. */
function moveWord(
  counts: Counts,
  { planes }: Counts,
  sign: 1 | -1,
  word: number,
): number | undefined {
  counts.touched[word >>> (counts.blockShift - 5)] = 1;
  for (let p = 0; p < planes.length; p++) {
    const mask = planes[p]![word]! | 0;
    if (mask === 0 || counts.changeWord(word, mask, sign * 2 ** p)) continue;
    return word * 32 + firstUnchanged(counts, word, mask, sign * 2 ** p);
  }
  return undefined;
}

function firstUnchanged(counts: Counts, word: number, mask: number, by: number): number {
  let first = 32;
  visitBits(mask, (bit) => {
    if (!counts.changeWord(word, 1 << bit, by)) first = Math.min(first, bit);
  });
  return first;
}
