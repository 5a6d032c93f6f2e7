import { COMPRESSED, offsetOf, ZERO_FLAG, type TableFormat } from '../../l1l2/entry.js';
import { ALL_SUBCLUSTERS } from '../../l1l2/new-entry.js';
import { changesWithin, type DiskChange } from './disk-change.js';

/** What an L2 table becomes. */
export interface ChangedTable {
  /** Entries as host-order words; those in `placed` lack the offset of their new cluster. */
  readonly words: Uint32Array;
  /** Indexes of the entries that get a new cluster, ascending. */
  readonly placed: readonly number[];
}

/** What decides how a cluster can be zeros. */
export interface ChangeRules {
  readonly format: TableFormat;
  /** Whether something is below, so that an unallocated cluster is not zeros. */
  readonly hasBacking: boolean;
}

/**
 * Changes the entries of an L2 table: each cluster that gets other bytes gets a new place, since the old one may be a
 * snapshot's, and since a cut must leave it. A compressed cluster that changes becomes a plain one.
 *
 * @param words of the table as it is, in host order; they are changed.
 * @param from guest offset of the first entry.
 * @returns undefined where nothing changes.
 */
export function changedTable(
  words: Uint32Array,
  from: number,
  changes: readonly DiskChange[],
  rules: ChangeRules,
): ChangedTable | undefined {
  const { clusterBytes, l2EntryBytes } = rules.format.geometry;
  const entries = (words.length * 4) / l2EntryBytes;
  const changeEntry = l2EntryBytes === 16 ? changeExtended : changeStandard;
  const placed: number[] = [];
  let isChanged = false;
  let last = -1;
  for (const { at, length } of changesWithin(changes, from, from + entries * clusterBytes)) {
    const end = Math.ceil((at + length - from) / clusterBytes);
    for (let index = Math.floor((at - from) / clusterBytes); index < end; index++) {
      // A cluster in which one change ends and the next begins is done once, with both.
      if (index === last) continue;
      last = index;
      const start = from + index * clusterBytes;
      const result = changeEntry(words, index, coverOf(changes, start, clusterBytes), rules);
      if (result === 'placed') placed.push(index);
      if (result !== 'same') isChanged = true;
    }
  }
  return isChanged ? { words, placed } : undefined;
}

/** Which of 32 equal parts of a cluster changes touch, and which they cover; a bit each, the first part lowest. */
interface Cover {
  /** Parts that get other bytes. */
  readonly data: number;
  /** Parts that become zeros, as a whole and in part. */
  readonly zero: number;
  readonly partlyZero: number;
}

const WHOLE_DATA: Cover = { data: ALL_SUBCLUSTERS, zero: 0, partlyZero: 0 };
const WHOLE_ZERO: Cover = { data: 0, zero: ALL_SUBCLUSTERS, partlyZero: 0 };

function coverOf(changes: readonly DiskChange[], start: number, clusterBytes: number): Cover {
  const cover = { data: 0, zero: 0, partlyZero: 0 };
  const partBytes = clusterBytes / 32;
  for (const { at, length, kind } of changesWithin(changes, start, start + clusterBytes)) {
    if (length === clusterBytes) return kind === 'data' ? WHOLE_DATA : WHOLE_ZERO;
    const [from, end] = [(at - start) / partBytes, (at + length - start) / partBytes];
    const touched = bitsOf(Math.floor(from), Math.ceil(end));
    if (kind === 'data') {
      cover.data |= touched;
      continue;
    }
    const whole = bitsOf(Math.ceil(from), Math.floor(end));
    // Two neighbours that each cover a part of it: then it is taken for what needs a cluster.
    cover.zero |= whole;
    cover.partlyZero |= touched & ~whole;
  }
  return { data: cover.data, zero: cover.zero, partlyZero: cover.partlyZero & ~cover.data };
}

/** Bits `from` up to, not including, `end`. */
function bitsOf(from: number, end: number): number {
  if (end <= from) return 0;
  const below = (bit: number): number => (bit === 32 ? ALL_SUBCLUSTERS : 2 ** bit - 1);
  return below(end) & ~below(from);
}

type Result = 'same' | 'changed' | 'placed';

function changeStandard(
  words: Uint32Array,
  index: number,
  { data, zero, partlyZero }: Cover,
  { format, hasBacking }: ChangeRules,
): Result {
  const [high, low] = [words[2 * index]!, words[2 * index + 1]!];
  const isCompressed = (high & COMPRESSED) !== 0;
  const isFlagged = format.version === 3 && !isCompressed && (low & ZERO_FLAG) !== 0;
  const isUnallocated = !isCompressed && !isFlagged && offsetOf(high, low) === 0;
  const isZero = isFlagged || (isUnallocated && !hasBacking);
  if (data === 0 && isZero) return 'same';
  const becomesZero = data === 0 && partlyZero === 0 && zero === ALL_SUBCLUSTERS;
  if (becomesZero && (format.version === 3 || !hasBacking)) {
    words[2 * index] = 0;
    words[2 * index + 1] = hasBacking ? ZERO_FLAG : 0;
    return 'changed';
  }
  words[2 * index] = 0;
  words[2 * index + 1] = 0;
  return 'placed';
}

/** Spec: Extended L2 Entries. */
function changeExtended(
  words: Uint32Array,
  index: number,
  { data, zero, partlyZero }: Cover,
  { hasBacking }: ChangeRules,
): Result {
  const first = 4 * index;
  const isCompressed = (words[first]! & COMPRESSED) !== 0;
  const [reads, held] = isCompressed
    ? [0, ALL_SUBCLUSTERS]
    : [words[first + 2]!, words[first + 3]!];
  const empty = ~(reads | held);
  const isZero = reads | (hasBacking ? 0 : empty);
  // What reads as zeros already stays as it is.
  const toZero = zero & ~isZero;
  const toData = data | (partlyZero & ~isZero);
  if ((toZero | toData) === 0) return 'same';
  const newHeld = (held | toData) & ~toZero;
  const newReads = (reads & ~toData) | (hasBacking ? toZero : 0);
  words[first + 2] = newReads >>> 0;
  words[first + 3] = newHeld >>> 0;
  if (newHeld === 0) {
    words[first] = 0;
    words[first + 1] = 0;
    return 'changed';
  }
  if (toData === 0 && !isCompressed) return 'changed';
  words[first] = 0;
  words[first + 1] = 0;
  return 'placed';
}
