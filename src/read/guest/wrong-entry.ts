import { hinted } from '../../base/hints.js';
import { hex } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import {
  COMPRESSED,
  ENTRY_PROBLEM_TEXT,
  compressedExtent,
  judgeL1Entry,
  offsetOf,
  type TableFormat,
} from '../../l1l2/entry.js';
import type { TableMap } from './table-rules.js';

/** Which entry of which table. */
export interface EntryPlace {
  readonly structure: string;
  /** Byte offset of the table in the file. */
  readonly tableAt: number;
  readonly entry: number;
}

/** The error for a table entry that a read stumbled over. */
function wrongEntry(place: EntryPlace, problem: string, words: readonly number[]): QsnapError {
  const { structure, tableAt, entry } = place;
  const at = tableAt + entry * words.length * 4;
  const digits = words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  const stored = `0x${digits.replace(/^0+(?=.)/, '')}`;
  return new QsnapError(
    'IMAGE_DAMAGED',
    `the image is damaged: the ${structure} entry at ${hex(at)} (${stored}) ${problem}`,
    {
      structure,
      at,
      entry,
      tableAt,
      expected: 'an entry that the specification allows',
      actual: stored,
      ...hinted('check-image'),
    },
  );
}

/** The reason of what lies behind the end of a file. */
export const PAST_THE_END = 'past the end of the file';

/**
 * The error for guest bytes that can't be had because the file ends before them, or before the part of
 * a table that leads to them.
 *
 * @param at where the structure begins in the file.
 * @param from guest offset of the first byte that is missing.
 */
export function cutOff(structure: string, at: number, from: number, to: number): QsnapError {
  return new QsnapError(
    'IMAGE_TRUNCATED',
    `the file ends inside the ${structure} at ${hex(at)}: ` +
      `guest bytes ${hex(from)} to ${hex(to)} are missing`,
    { structure, at, ...hinted('check-image') },
  );
}

/** Why something can't be read: for people in a few words, and as an error. */
export interface ReadProblem {
  readonly reason: string;
  readonly error: () => QsnapError;
}

/** What is wrong with an L1 entry for a reader, or undefined. */
export function wrongL1Entry(
  place: EntryPlace,
  high: number,
  low: number,
  format: TableFormat,
  tolerant: boolean,
): ReadProblem | undefined {
  const problem = judgeL1Entry(high, low, format);
  // A COPIED flag without a table says nothing to a reader.
  if (problem === undefined || problem === 'copied-without-offset') return undefined;
  if (tolerant && offsetOf(high, low) % format.geometry.clusterBytes === 0) return undefined;
  const text = ENTRY_PROBLEM_TEXT[problem];
  return { reason: `the L1 entry ${text}`, error: () => wrongEntry(place, text, [high, low]) };
}

/**
 * The error for the L2 entry that `mapTable` stopped at.
 *
 * @param words the entry's own: two, or four with its bitmap.
 */
export function wrongL2Entry(
  words: Uint32Array,
  tableAt: number,
  entry: number,
  map: TableMap,
): QsnapError {
  const place = { structure: 'L2 table', tableAt, entry };
  return wrongEntry(place, l2ProblemText(words, map), [...words]);
}

/** What is wrong with an L2 entry, in words that complete "the entry …". */
export function l2ProblemText(words: Uint32Array, map: TableMap): string {
  const [high = 0, low = 0, zeros = 0, allocated = 0] = words;
  const { clusterBits, clusterBytes } = map.format.geometry;
  if ((high & COMPRESSED) !== 0) {
    if (map.external) return 'is compressed, in an image with an external data file';
    const { at } = compressedExtent(high, low, clusterBits);
    const isInside = at >= clusterBytes && at < map.packedEnd;
    return isInside ? 'is compressed and has subclusters' : ENTRY_PROBLEM_TEXT['past-the-end'];
  }
  if ((high & map.highMustBeClear) !== 0) return ENTRY_PROBLEM_TEXT['reserved-bits'];
  if ((low & map.lowMustBeClear & 0x1ff) !== 0) return ENTRY_PROBLEM_TEXT['reserved-bits'];
  if ((low & map.lowMustBeClear) !== 0) return ENTRY_PROBLEM_TEXT.misaligned;
  if (offsetOf(high, low) / clusterBytes >= map.clustersEnd) {
    return ENTRY_PROBLEM_TEXT['past-the-end'];
  }
  if ((zeros & allocated) !== 0) return 'has subclusters that are both allocated and zero';
  if (allocated !== 0 && offsetOf(high, low) === 0) return 'has subclusters but no cluster';
  return 'does not point at its own guest offset in the data file';
}
