import { HOST_IS_LITTLE, swapped } from '../base/words.js';
import { maskOf } from '../refcount/bits.js';
import type { Counts } from '../refcount/counts.js';
import { NO_PROBLEM, type Scan, type Taken } from './scan.js';

/** COPIED, in the first byte of an entry. */
export const COPIED_BYTE = 0x80;

/**
 * The host clusters that an L2 table names, as runs: entries in a row that name clusters in a row, with
 * the same flags. Guests write neighbours together, so a table has far fewer runs than entries.
 * Made once, filled anew for every table.
 *
 * ```
 * entry      0    1    2    3    4    5    6          entries  clusters  lengths
 * cluster    .   40   41   42    .   90   91   run 0:    1        40        3
 *                └── run 0 ──┘       └─ 1 ─┘   run 1:    5        90        2
 * ```
 */
export interface Runs {
  /** How many there are; the arrays are as long as a table can need. */
  count: number;
  /** Index of the first entry. */
  readonly entries: Int32Array;
  /** The first host cluster. */
  readonly clusters: Int32Array;
  readonly lengths: Int32Array;
  /** 1 where the entries have the COPIED flag. */
  readonly copied: Uint8Array;
  /** Whether the runs tell the whole table: each entry is empty or names a whole cluster of the file. */
  isPlain: boolean;
  /** Whether any entry has the COPIED flag. */
  anyCopied: boolean;
  /** Entries that name a cluster. */
  allocated: number;
  /** Runs that do not begin where the run before them ends in the file. */
  fragmented: number;
}

export function newRuns({ format }: Scan): Runs {
  const most = format.geometry.l2Entries;
  return {
    count: 0,
    entries: new Int32Array(most),
    clusters: new Int32Array(most),
    lengths: new Int32Array(most),
    copied: new Uint8Array(most),
    isPlain: false,
    anyCopied: false,
    allocated: 0,
    fragmented: 0,
  };
}

/**
 * Reads the runs of a table whose entries are still big-endian, as in the file. Turning the whole table
 * into host order first would double the cost.
 *
 * @returns NO_PROBLEM, or the index of the first entry that is not plain; `runs` has what comes before.
 */
export function readRuns(stored: Uint32Array, scan: Scan, runs: Runs): number {
  runs.count = 0;
  runs.anyCopied = false;
  runs.allocated = 0;
  runs.fragmented = 0;
  const stop = HOST_IS_LITTLE && scan.stride === 2 ? readPlain(stored, scan, runs) : 0;
  runs.isPlain = stop === NO_PROBLEM;
  return stop;
}

function readPlain(stored: Uint32Array, scan: Scan, runs: Runs): number {
  const { clusterBits, fileClusters } = scan;
  const { entries, clusters, lengths, copied } = runs;
  const mustBeClear = swapped(scan.lowMustBeClear);
  // In 32 bits a cluster fits only below 2^31: no file has more, and what claims more is not plain.
  const highShift = 32 - clusterBits;
  const highMax = fileClusters >>> highShift;
  let count = 0;
  let next = 0;
  for (let i = 0; i < stored.length;) {
    const first = stored[i]! | 0;
    const second = stored[i + 1]! | 0;
    if ((first | second) === 0) {
      i = endOfZeros(stored, i + 2, stored.length);
      continue;
    }
    const high = swapped(first) & 0x7fff_ffff;
    if (high > highMax || (second & mustBeClear) !== 0) return i / 2;
    const low = swapped(second);
    const cluster = (high << highShift) | (low >>> clusterBits);
    if (cluster === 0) {
      if ((first & COPIED_BYTE) !== 0) return i / 2;
      i += 2;
      continue;
    }
    // Up to where the upper half, the table or the file ends.
    const most = Math.min(2 ** highShift - (low >>> clusterBits), fileClusters - cluster);
    const end = Math.min(i + 2 * most, stored.length);
    if (end <= i) return i / 2;
    const at = endOfRun(stored, i, end, clusterBits);
    const length = (at - i) >>> 1;
    entries[count] = i >>> 1;
    clusters[count] = cluster;
    lengths[count] = length;
    copied[count] = (first & COPIED_BYTE) >>> 7;
    runs.anyCopied ||= (first & COPIED_BYTE) !== 0;
    count += 1;
    runs.count = count;
    runs.allocated += length;
    if (cluster !== next && next !== 0) runs.fragmented += 1;
    next = cluster + length;
    i = at;
  }
  return NO_PROBLEM;
}

/**
 * Where the standard entries of zeros end that lie from a word on, looking no further than `end`: eight
 * at a time.
 */
export function endOfZeros(stored: Uint32Array, begin: number, end: number): number {
  const w = stored;
  let i = begin;
  while (i + 16 <= end) {
    const a = w[i]! | w[i + 1]! | w[i + 2]! | w[i + 3]! | w[i + 4]! | w[i + 5]! | w[i + 6]!;
    const b = w[i + 7]! | w[i + 8]! | w[i + 9]! | w[i + 10]! | w[i + 11]! | w[i + 12]!;
    if ((a | b | w[i + 13]! | w[i + 14]! | w[i + 15]!) !== 0) break;
    i += 16;
  }
  while (i < end && (w[i]! | w[i + 1]!) === 0) i += 2;
  return i;
}

/**
 * Finds the end of the run that begins at the word `begin` of a stored table of standard entries. It lies at
 * `end` at the latest, and before the first entry with another high word.
 *
 * Swapping the bytes of every word would be slow. So the stored words are compared as they are: one cluster
 * further adds the same number to them until the byte with the cluster's lowest bits overflows, and only
 * then a word is swapped.
 *
 * ```
 * low word in the file    b3 b2 b1 b0     64 KiB clusters: b2 has the lowest bits of the cluster's number,
 * the same, as loaded     b0 b1 b2 b3     so each cluster further adds 1 << 8; past 0xff b3 must get the carry
 * ```
 *
 * @param begin index of the word; the host is little-endian.
 */
export function endOfRun(
  stored: Uint32Array,
  begin: number,
  end: number,
  clusterBits: number,
): number {
  const first = stored[begin]!;
  const shift = 8 * (3 - (clusterBits >>> 3)) + (clusterBits & 7);
  const step = 1 << shift;
  const stepsMost = 0xff >>> (clusterBits & 7);
  let word = stored[begin + 1]! | 0;
  let at = begin + 2;
  for (;;) {
    const steps = stepsMost - ((word >>> shift) & stepsMost);
    const stop = Math.min(end, at + 2 * steps);
    while (at < stop) {
      word = (word + step) | 0;
      if (stored[at] !== first || (stored[at + 1]! | 0) !== word) return at;
      at += 2;
    }
    if (at >= end) return at;
    word = swapped((swapped(word) + (1 << clusterBits)) | 0);
    if (stored[at] !== first || (stored[at + 1]! | 0) !== word) return at;
    at += 2;
  }
}

/**
 * Adds `weight` to the counts of all clusters that the runs name.
 *
 * @param taken as in `addReferences`.
 * @returns NO_PROBLEM, or the index of the first entry whose count would leave 0 to `counts.max`;
 *   those before it are counted then.
 */
export function addRuns(runs: Runs, weight: number, counts: Counts, taken?: Taken): number {
  const { count, entries, clusters, lengths } = runs;
  for (let run = 0; run < count; run++) {
    if (taken !== undefined) tellTaken(clusters[run]!, lengths[run]!, counts, taken);
    const changed = counts.changeRun(clusters[run]!, lengths[run]!, weight);
    if (changed < lengths[run]!) return entries[run]! + changed;
  }
  return NO_PROBLEM;
}

function tellTaken(first: number, length: number, counts: Counts, taken: Taken): void {
  const end = first + length;
  for (let at = counts.nextUsed(first, end); at < end; at = counts.nextUsed(at + 1, end)) taken(at);
}

/**
 * Finds the entries whose COPIED flag contradicts the counts: set although the cluster's count is not 1, or
 * clear although it is. Ends early when `visit` returns false.
 *
 * @param visit is called for each word of `counts` that has such clusters. Bit `b` of `wrong` stands for
 *   the entry `entryOfBit0 + b`.
 */
export function visitWrongFlags(
  runs: Runs,
  counts: Counts,
  visit: (entryOfBit0: number, wrong: number) => boolean,
): void {
  for (let run = 0; run < runs.count; run++) {
    const first = runs.clusters[run]!;
    const end = first + runs.lengths[run]!;
    const entry = runs.entries[run]!;
    for (let cluster = first; cluster < end;) {
      const word = cluster >>> 5;
      const mask = maskOf(cluster & 31, end - cluster);
      const ones = counts.onesAt(word);
      const wrong = (runs.copied[run] === 1 ? ~ones : ones) & mask;
      if (wrong !== 0 && !visit(entry + word * 32 - first, wrong)) return;
      cluster = (word + 1) * 32;
    }
  }
}
