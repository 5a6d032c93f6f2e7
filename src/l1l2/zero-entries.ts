import { HIGH_WORD } from '../base/words.js';
import { COMPRESSED, OFFSET_LOW, offsetOf, ZERO_FLAG } from './entry.js';

/**
 * Entries of 8 bytes that read as zeros by their flag. Spec: L2 table entry, bit 0.
 *
 * @param words of the table, in host order.
 * @param visit gets the host offset of the cluster that is kept for the entry; 0: none is.
 */
export function visitZeroEntries(words: Uint32Array, visit: (offset: number) => void): void {
  for (let i = 0; i < words.length; i += 2) {
    if (isZeroEntry(words[i]!, words[i + 1]!)) visit(offsetOf(words[i]!, words[i + 1]!));
  }
}

/** Whether any entry is compressed. */
export function anyCompressed(words: Uint32Array): boolean {
  for (let i = 0; i < words.length; i += 2) {
    if ((words[i]! & COMPRESSED) !== 0) return true;
  }
  return false;
}

/**
 * Gives each of them a cluster of zeros, or makes it unallocated. COPIED flags are left to the caller.
 *
 * @param dataAt host offset of the first cluster; 0: unallocated.
 */
export function replaceZeros(words: Uint32Array, dataAt: number, clusterBytes: number): void {
  let at = dataAt;
  for (let i = 0; i < words.length; i += 2) {
    if (!isZeroEntry(words[i]!, words[i + 1]!)) continue;
    words[i] = Math.floor(at / HIGH_WORD);
    words[i + 1] = at & OFFSET_LOW;
    if (dataAt !== 0) at += clusterBytes;
  }
}

function isZeroEntry(high: number, low: number): boolean {
  return (low & ZERO_FLAG) !== 0 && (high & COMPRESSED) === 0;
}
