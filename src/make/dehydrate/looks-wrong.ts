import { valueOfStored } from '../../base/words.js';
import { judgeL1Entry, judgeL2Entry, type TableFormat } from '../../l1l2/entry.js';
import { decodeRefcounts } from '../../refcount/block.js';

/** What is copied as it is stored. */
export const TABLE_KINDS = [
  'refcount-table',
  'refcount-block',
  'l1-table',
  'l2-table',
  'bitmap-table',
  'bitmap-data',
] as const;
/** A kind of structure of which many are in an image, and which holds no names. */
export type TableKind = (typeof TABLE_KINDS)[number];

/** What tells a table from other bytes. */
export interface TableLimits {
  /** Its clusters are those that the refcounts can count: a file that was cut off had more than it has. */
  readonly format: TableFormat;
  /** The highest refcount that all disks together could ask for. */
  readonly refcountMost: number;
}

/**
 * Whether some bytes are most likely not what the pointer to them says: a pointer that is wrong may lead to what a guest
 * wrote. One wrong entry among right ones is a damaged table; more wrong ones than right ones are something else. Of the
 * bits of a bitmap nobody can tell.
 *
 * @param stored a piece of a table, big-endian.
 */
export function looksWrong(kind: TableKind, stored: Uint32Array, limits: TableLimits): boolean {
  if (kind === 'bitmap-data') return false;
  if (kind === 'refcount-block') return areRefcountsWrong(stored, limits);
  const { format } = limits;
  const stride = kind === 'l2-table' ? format.geometry.l2EntryBytes / 4 : 2;
  const judge = kind === 'l2-table' ? judgeL2Entry : judgeL1Entry;
  let [wrong, right] = [0, 0];
  for (let i = 0; i + 1 < stored.length; i += stride) {
    if ((stored[i]! | stored[i + 1]!) === 0) continue;
    const [high, low] = [valueOfStored(stored[i]!) >>> 0, valueOfStored(stored[i + 1]!) >>> 0];
    // In a bitmap table an entry of 1 stands for ones all over.
    const isOnes = kind === 'bitmap-table' && high === 0 && low === 1;
    const isOdd = !isOnes && judge(high, low, format) !== undefined;
    if (isOdd) wrong += 1;
    else right += 1;
  }
  return wrong > right;
}

function areRefcountsWrong(stored: Uint32Array, { format, refcountMost }: TableLimits): boolean {
  const { refcountBits } = format.geometry;
  const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  const counts = new Uint32Array((bytes.length * 8) / refcountBits);
  decodeRefcounts(bytes, refcountBits, counts);
  let [wrong, right] = [0, 0];
  for (const count of counts) {
    if (count > refcountMost) wrong += 1;
    else if (count > 0) right += 1;
  }
  return wrong > right;
}
