import { HOST_IS_LITTLE, swapped, swapWords } from '../base/words.js';
import type { Counts } from '../refcount/counts.js';
import {
  addReferences,
  anyCopied,
  anyCopiedWrong,
  NO_PROBLEM,
  setCopied,
  type Scan,
} from './scan.js';

/**
 * The hottest loops, over L2 tables as they lie in the file: entries are big-endian, and most hosts
 * are not. To turn a whole table into host order first costs as much again as to count it. What is
 * not a plain entry goes to `scan.ts`.
 */

/** COPIED and the bit of compressed entries, in the first byte of an entry. */
export const COPIED_BYTE = 0x80;
const COMPRESSED_BYTE = 0x40;

/** What one walk over a table gave, besides counts. Made once, filled anew for every table. */
export interface TableFacts {
  /** Whether all entries were plain: nothing, or a whole cluster of the file. The words are as before. */
  isPlain: boolean;
  /** Whether any entry has the COPIED flag. */
  anyCopied: boolean;
  /** Entries that name a cluster, and those that do not follow their predecessor; of plain tables. */
  allocated: number;
  fragmented: number;
}

export function newTableFacts(): TableFacts {
  return { isPlain: false, anyCopied: false, allocated: 0, fragmented: 0 };
}

/**
 * `addReferences` for a table as it is stored. A table that is not plain ends in host order.
 *
 * @param facts gets what was seen.
 */
export function addStoredReferences(
  stored: Uint32Array,
  scan: Scan,
  weight: number,
  counts: Counts,
  facts: TableFacts,
): number {
  const from =
    HOST_IS_LITTLE && scan.stride === 2 ? addPlain(stored, scan, weight, counts, facts) : 0;
  facts.isPlain = from === NO_PROBLEM;
  if (facts.isPlain) return NO_PROBLEM;
  swapWords(stored);
  facts.anyCopied = anyCopied(stored, scan);
  return addReferences(stored, scan, weight, counts, from);
}

/** @returns NO_PROBLEM, or the index of the first entry that is not plain or does not fit; see there. */
function addPlain(
  stored: Uint32Array,
  scan: Scan,
  weight: number,
  { values, max, blockShift, touched }: Counts,
  facts: TableFacts,
): number {
  const { clusterBits, fileClusters } = scan;
  const mustBeClear = swapped(scan.lowMustBeClear);
  // In 32 bits a cluster fits only below 2^31: no file has more, and what claims more is not plain.
  const highShift = 32 - clusterBits;
  const highMax = fileClusters >>> highShift;
  let flags = 0;
  let allocated = 0;
  let fragmented = 0;
  let next = 0;
  // The upper half is the same for many entries in a row, and so is the refcount block.
  let upper = 0;
  let high = 0;
  let block = -1;
  for (let i = 0; i < stored.length; i += 2) {
    const first = stored[i]! | 0;
    const second = stored[i + 1]! | 0;
    if (first !== upper) {
      upper = first;
      high = swapped(first) & 0x7fff_ffff;
      if (high > highMax) return i / 2;
      high <<= highShift;
      flags |= first;
    }
    if ((second & mustBeClear) !== 0) return i / 2;
    const cluster = high | (swapped(second) >>> clusterBits);
    if (cluster === 0) {
      if ((first & COPIED_BYTE) !== 0) return i / 2;
      continue;
    }
    if (cluster >= fileClusters) return i / 2;
    const count = values[cluster]! + weight;
    if (count > max || count < 0) return i / 2;
    values[cluster] = count;
    allocated += 1;
    if (cluster !== next && next !== 0) fragmented += 1;
    next = cluster + 1;
    if (cluster >>> blockShift === block) continue;
    block = cluster >>> blockShift;
    touched[block] = 1;
  }
  facts.anyCopied = (flags & COPIED_BYTE) !== 0;
  facts.allocated = allocated;
  facts.fragmented = fragmented;
  return NO_PROBLEM;
}

/** Whether an entry is to have the COPIED flag; undefined for a compressed one. Spec: L2 table entry. */
function wantsCopied(
  first: number,
  second: number,
  { clusterBits, highScale }: Scan,
  values: Counts['values'],
): boolean | undefined {
  if ((first & COMPRESSED_BYTE) !== 0) return undefined;
  const cluster = (swapped(first) & 0x00ff_ffff) * highScale + (swapped(second) >>> clusterBits);
  return cluster !== 0 && values[cluster] === 1;
}

/** `anyCopiedWrong` for a table as it is stored. All its entries are sound. */
export function anyStoredCopiedWrong(stored: Uint32Array, scan: Scan, counts: Counts): boolean {
  if (!HOST_IS_LITTLE) return anyCopiedWrong(stored, scan, counts);
  const { values } = counts;
  for (let i = 0; i < stored.length; i += scan.stride) {
    const first = stored[i]! | 0;
    const wanted = wantsCopied(first, stored[i + 1]! | 0, scan, values);
    if (wanted !== undefined && ((first & COPIED_BYTE) !== 0) !== wanted) return true;
  }
  return false;
}

/** `setCopied` for a table as it is stored. */
export function setStoredCopied(stored: Uint32Array, scan: Scan, counts: Counts): void {
  if (!HOST_IS_LITTLE) {
    setCopied(stored, scan, counts);
    return;
  }
  const { values } = counts;
  for (let i = 0; i < stored.length; i += scan.stride) {
    const first = stored[i]! | 0;
    const wanted = wantsCopied(first, stored[i + 1]! | 0, scan, values);
    if (wanted !== undefined) stored[i] = wanted ? first | COPIED_BYTE : first & ~COPIED_BYTE;
  }
}

/** Clears every COPIED flag, in place: for tables that more than one L1 points at. */
export function clearStoredCopied(table: Uint8Array, scan: Scan): void {
  const entryBytes = scan.stride * 4;
  for (let at = 0; at < table.length; at += entryBytes) table[at] = table[at]! & ~COPIED_BYTE;
}
