import {
  COMPRESSED,
  COPIED,
  decodeL2Entry,
  judgeL1Entry,
  judgeL2Entry,
  offsetOf,
  type EntryProblem,
  type TableFormat,
} from '../../l1l2/entry.js';
import { hex } from '../../base/words.js';
import type { SaidEntry } from './entry-runs.js';

/** What would be right in the place of an entry that is wrong. */
function expectedOf(problem: EntryProblem | undefined, format: TableFormat): string | undefined {
  const { clusterBytes } = format.geometry;
  switch (problem) {
    case undefined:
      return undefined;
    case 'reserved-bits':
      return 'reserved bits of 0';
    case 'misaligned':
      return `a host offset that is a multiple of ${clusterBytes}`;
    case 'past-the-end':
      return `a host offset from ${hex(clusterBytes)} to the end of the file`;
    case 'copied-without-offset':
      return 'no COPIED flag without a host offset';
    case 'copied-compressed':
      return 'no COPIED flag in a compressed entry';
  }
}

const flag = (copied: boolean): string => (copied ? ', COPIED' : '');

/** An entry of an L1 table. Spec: L1 table entry. */
export function saidL1Entry(high: number, low: number, format: TableFormat): SaidEntry {
  const expected = expectedOf(judgeL1Entry(high, low, format), format);
  const at = offsetOf(high, low);
  if (at === 0) return { kind: 'unallocated', expected };
  return { kind: `allocated{host}${flag((high & COPIED) !== 0)}`, host: at, expected };
}

/** An entry of a refcount table. Spec: Refcount table entry. */
export function saidRefcountTableEntry(high: number, low: number, format: TableFormat): SaidEntry {
  const expected = expectedOf(judgeL1Entry(high, low, format), format);
  const at = offsetOf(high, low);
  if (at === 0 && expected === undefined) return { kind: 'no block', expected };
  const isCopied = (high & COPIED) !== 0;
  return {
    kind: 'refcount block{host}',
    host: at,
    expected: isCopied ? 'reserved bits of 0' : expected,
  };
}

/** An entry of a bitmap table: bit 0 stands for bits that are all set. Spec: Bitmap table. */
export function saidBitmapTableEntry(high: number, low: number, format: TableFormat): SaidEntry {
  const at = offsetOf(high, low);
  if (at === 0) {
    const expected = expectedOf(judgeL1Entry(high, low & ~1, format), format);
    return { kind: (low & 1) === 0 ? 'all bits clear' : 'all bits set', expected };
  }
  const expected = expectedOf(judgeL1Entry(high, low, format), format);
  const isCopied = (high & COPIED) !== 0;
  return { kind: 'bits{host}', host: at, expected: isCopied ? 'reserved bits of 0' : expected };
}

/**
 * An entry of an L2 table.
 *
 * @param bitmaps the second half of an extended entry: which subclusters read as zeros, and which are allocated.
 * Spec: L2 table entry, Extended L2 Entries.
 */
export function saidL2Entry(
  high: number,
  low: number,
  format: TableFormat,
  bitmaps?: readonly [zeros: number, allocated: number],
): SaidEntry {
  const entry = decodeL2Entry(high, low, format);
  const expected =
    expectedOf(judgeL2Entry(high, low, format), format) ??
    (bitmaps && expectedBitmaps(high, low, bitmaps));
  const parts = bitmaps === undefined ? '' : subclusterText(bitmaps);
  switch (entry.kind) {
    case 'unallocated':
      return { kind: `unallocated${parts}`, expected };
    case 'zero-plain':
      return { kind: 'zeros', expected };
    case 'zero-alloc':
      return { kind: `zeros, preallocated{host}${flag(entry.copied)}`, host: entry.at, expected };
    case 'normal':
      return { kind: `allocated{host}${flag(entry.copied)}${parts}`, host: entry.at, expected };
    case 'compressed':
      return {
        kind: `compressed{host}, sectors of ${entry.sectorBytes} bytes in all`,
        host: entry.at,
        expected,
      };
  }
}

/** What would be right in the place of bitmaps that can't be; undefined where these can. */
function expectedBitmaps(
  high: number,
  low: number,
  [zeros, allocated]: readonly [number, number],
): string | undefined {
  if ((high & COMPRESSED) !== 0) {
    return (zeros | allocated) === 0 ? undefined : 'no subclusters in a compressed entry';
  }
  if ((zeros & allocated) !== 0) return 'no subcluster that is both allocated and zero';
  if (allocated !== 0 && offsetOf(high, low) === 0)
    return 'no allocated subcluster without a cluster';
  return undefined;
}

/** The state of subclusters in words: ranges of those that are alike. */
export function subclusterText([zeros, allocated]: readonly [number, number]): string {
  const stateOf = (bit: number): string => {
    const isZero = ((zeros >>> bit) & 1) === 1;
    if (((allocated >>> bit) & 1) === 1) return isZero ? 'both' : 'allocated';
    return isZero ? 'zero' : 'unallocated';
  };
  const ranges: string[] = [];
  for (let from = 0, to = 0; from < SUBCLUSTERS; from = to) {
    while (to < SUBCLUSTERS && stateOf(to) === stateOf(from)) to += 1;
    ranges.push(`${from === to - 1 ? from : `${from}-${to - 1}`} ${stateOf(from)}`);
  }
  return `, subclusters ${ranges.join(', ')}`;
}

const SUBCLUSTERS = 32;
