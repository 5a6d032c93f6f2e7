import { HOST_IS_LITTLE, swapped } from '../base/words.js';
import { maskOf } from '../refcount/bits.js';
import type { Counts } from '../refcount/counts.js';
import { NO_PROBLEM, type Scan, type Taken } from './scan.js';

/** COPIED, in the first byte of an entry. */
export const COPIED_BYTE = 0x80;

/**
 * What the entries of an L2 table name, as runs: entries in a row that name clusters in a row, with
 * the same flags. Guests write neighbours together, so a table has far fewer runs than entries.
 * Made once, filled anew for every table.
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
  /** Whether the runs are all there is: each entry names nothing, or a whole cluster of the file. */
  isPlain: boolean;
  /** Whether any entry has the COPIED flag. */
  anyCopied: boolean;
  /** Entries that name a cluster, and those that do not follow their predecessor. */
  allocated: number;
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
 * Reads the runs of a table as it is stored, entries in big-endian order: to turn a whole table into
 * host order first costs as much again.
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
 * Where the run ends that begins at a word of a stored table of standard entries, looking no further
 * than `end`, nor than the upper halves are the same. From one cluster to the next the stored word
 * grows by the same number, until the byte in which the clusters' lowest bits lie overflows: so few
 * words need their bytes swapped.
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
 * Hands the clusters of a run whose entries' COPIED flag is not what the counts ask for to `visit`,
 * word by word, until that returns false: where the word's first cluster has its entry, and a mask.
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
