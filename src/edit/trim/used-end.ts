import type { Counts } from '../../refcount/counts.js';

/** The last cluster before `end` that is in use; -1: none is. */
export function lastUsed(counts: Counts, end: number): number {
  for (let cluster = end - 1; cluster >= 0;) {
    const word = cluster >>> 5;
    const used = counts.usedAt(word) & (-1 >>> (31 - (cluster & 31)));
    if (used !== 0) return word * 32 + 31 - Math.clz32(used);
    cluster = word * 32 - 1;
  }
  return -1;
}
