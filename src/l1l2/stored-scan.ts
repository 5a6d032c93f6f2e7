import { HOST_IS_LITTLE, swapped, swapWords } from '../base/words.js';
import { COPIED, ZERO_FLAG } from './entry.js';
import type { Counts } from '../refcount/counts.js';
import { addRuns, COPIED_BYTE, readRuns, visitWrongFlags, type Runs } from './runs.js';
import {
  addReferences,
  anyCopied,
  anyCopiedWrong,
  isOne,
  NO_PROBLEM,
  setCopied,
  type Scan,
  type Taken,
} from './scan.js';

/**
 * The loops of `scan.ts` for L2 tables as they lie in the file, where entries are big-endian. A table of
 * plain entries is read as runs, which is fast; any other is gone through entry by entry.
 *
 * ```
 * byte of the entry       0         1   2   3    4   5   6   7
 * in the file             CZoooooo  ........     ...........Z     big-endian: the flags are in byte 0
 * as loaded on x86, ARM   stored[i]              stored[i+1]      little-endian: byte 0 is the lowest
 *                         COPIED_BYTE = 0x80, COMPRESSED_BYTE = 0x40 of stored[i]
 * ```
 */

const COMPRESSED_BYTE = 0x40;

/**
 * `addReferences` for a table as it is stored. A table that is not plain is left in host order.
 *
 * @param runs gets the runs of the table.
 * @param taken as in `addReferences`.
 */
export function addStoredReferences(
  stored: Uint32Array,
  scan: Scan,
  weight: number,
  counts: Counts,
  runs: Runs,
  taken?: Taken,
): number {
  const stop = readRuns(stored, scan, runs);
  const full = addRuns(runs, weight, counts, taken);
  if (stop === NO_PROBLEM && full === NO_PROBLEM) return NO_PROBLEM;
  runs.isPlain = false;
  swapWords(stored);
  runs.anyCopied = anyCopied(stored, scan);
  return addReferences(stored, scan, weight, counts, full === NO_PROBLEM ? stop : full, taken);
}

/** Whether an entry is to have the COPIED flag; undefined for a compressed one. Spec: L2 table entry. */
function wantsCopied(
  first: number,
  second: number,
  { clusterBits, highScale }: Scan,
  counts: Counts,
): boolean | undefined {
  if ((first & COMPRESSED_BYTE) !== 0) return undefined;
  const cluster = (swapped(first) & 0x00ff_ffff) * highScale + (swapped(second) >>> clusterBits);
  return cluster !== 0 && isOne(counts, cluster);
}

/** `anyCopiedWrong` for a table as it is stored. All its entries are sound. */
export function anyStoredCopiedWrong(
  stored: Uint32Array,
  scan: Scan,
  counts: Counts,
  runs: Runs,
): boolean {
  if (!HOST_IS_LITTLE) return anyCopiedWrong(stored, scan, counts);
  if (readRuns(stored, scan, runs) === NO_PROBLEM) {
    let wrong = false;
    visitWrongFlags(runs, counts, () => {
      wrong = true;
      return false;
    });
    return wrong;
  }
  for (let i = 0; i < stored.length; i += scan.stride) {
    const first = stored[i]! | 0;
    const wanted = wantsCopied(first, stored[i + 1]! | 0, scan, counts);
    if (wanted !== undefined && ((first & COPIED_BYTE) !== 0) !== wanted) return true;
  }
  return false;
}

/** `setCopied` for a table as it is stored. */
export function setStoredCopied(stored: Uint32Array, scan: Scan, counts: Counts, runs: Runs): void {
  if (!HOST_IS_LITTLE) {
    setCopied(stored, scan, counts);
    return;
  }
  if (readRuns(stored, scan, runs) === NO_PROBLEM) {
    visitWrongFlags(runs, counts, (entry, wrong) => {
      flipCopied(stored, entry, wrong);
      return true;
    });
    return;
  }
  for (let i = 0; i < stored.length; i += scan.stride) {
    const first = stored[i]! | 0;
    const wanted = wantsCopied(first, stored[i + 1]! | 0, scan, counts);
    if (wanted !== undefined) stored[i] = wanted ? first | COPIED_BYTE : first & ~COPIED_BYTE;
  }
}

/** Flips the flag of the entries that belong to the bits of `wrong`. */
function flipCopied(stored: Uint32Array, entryOfBit0: number, wrong: number): void {
  if (wrong === -1) {
    const end = entryOfBit0 * 2 + 64;
    for (let i = entryOfBit0 * 2; i < end; i += 2) stored[i]! ^= COPIED_BYTE;
    return;
  }
  for (let rest = wrong, i = entryOfBit0 * 2; rest !== 0; rest >>>= 1, i += 2) {
    if ((rest & 1) !== 0) stored[i]! ^= COPIED_BYTE;
  }
}

/** Clears every COPIED flag, in place: for tables that more than one L1 points at. */
export function clearStoredCopied(table: Uint8Array, scan: Scan): void {
  const entryBytes = scan.stride * 4;
  for (let at = 0; at < table.length; at += entryBytes) table[at] = table[at]! & ~COPIED_BYTE;
}

/** The COPIED flag in the first word of an entry as it is stored. */
export const STORED_COPIED = HOST_IS_LITTLE ? COPIED_BYTE : COPIED;

/** How many entries of two tables differ in more than the COPIED flag. */
export function countStoredDifferent(a: Uint32Array, b: Uint32Array, { stride }: Scan): number {
  const end = a.length / stride;
  let different = 0;
  for (let i = 0; i < end;) {
    const first = nextOfRelation(a, b, i, end, stride, STORED_COPIED, true);
    i = nextOfRelation(a, b, first, end, stride, STORED_COPIED, false);
    different += i - first;
  }
  return different;
}

/** The zero flag in the second word of an entry as it is stored. */
const STORED_ZERO_FLAG = HOST_IS_LITTLE ? ZERO_FLAG << 24 : ZERO_FLAG;

/** Whether two tables have an entry alike that leads to a cluster. */
export function anyStoredShared(a: Uint32Array, b: Uint32Array, { stride }: Scan): boolean {
  const end = a.length / stride;
  for (let i = 0; i < end; i++) {
    i = nextOfRelation(a, b, i, end, stride, STORED_COPIED, false);
    if (i === end) return false;
    const [first, second] = [a[i * stride]!, a[i * stride + 1]!];
    if (((first & ~STORED_COPIED) | (second & ~STORED_ZERO_FLAG)) !== 0) return true;
  }
  return false;
}

/**
 * The first of the entries `from` to `end` in which two tables differ by more than the COPIED flag, or in which they
 * don't; `end` where there is none.
 *
 * @param stride words of an entry: 2, or 4 with its bitmap.
 * @param copied COPIED, or STORED_COPIED for tables as they are stored.
 * @param differs which of the two is looked for.
 */
export function nextOfRelation(
  a: Uint32Array,
  b: Uint32Array,
  from: number,
  end: number,
  stride: number,
  copied: number,
  differs: boolean,
): number {
  const besidesCopied = ~copied;
  const endWord = end * stride;
  for (let at = from * stride; at < endWord; at += stride) {
    let bits = ((a[at]! ^ b[at]!) & besidesCopied) | (a[at + 1]! ^ b[at + 1]!);
    if (stride === 4) bits |= (a[at + 2]! ^ b[at + 2]!) | (a[at + 3]! ^ b[at + 3]!);
    if ((bits !== 0) === differs) return at / stride;
  }
  return end;
}
