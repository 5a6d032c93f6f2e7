import type { ByteRange } from '../../io/device.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { maskOf, visitBits } from '../../refcount/bits.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { Counts } from '../../refcount/counts.js';

/**
 * Clusters that were in use before the edit and are free after it, neighbours joined.
 *
 * @param free those that were free before and still are.
 * @param end looks at all clusters before it; without it only at those whose refcount block is touched.
 */
export function freedRanges(
  counts: Counts,
  free: ClusterSet,
  { clusterBytes, refcountBlockEntries }: Geometry,
  end?: number,
): readonly ByteRange[] {
  const ranges: { at: number; length: number }[] = [];
  const addClusters = (first: number, mask: number): void => {
    visitBits(mask, (bit) => {
      const at = (first + bit) * clusterBytes;
      const last = ranges.at(-1);
      if (last !== undefined && last.at + last.length === at) last.length += clusterBytes;
      else ranges.push({ at, length: clusterBytes });
    });
  };
  for (let block = 0; block < counts.touched.length; block++) {
    if (end === undefined && counts.touched[block] === 0) continue;
    const endCluster = Math.min((block + 1) * refcountBlockEntries, end ?? Infinity);
    const endWord = Math.ceil(endCluster / 32);
    for (let word = (block * refcountBlockEntries) / 32; word < endWord;) {
      const used = counts.usedAt(word);
      if (used === -1) word = counts.endOfAlike(word, endWord);
      else {
        const inside = maskOf(0, endCluster - word * 32);
        addClusters(word * 32, ~(used | free.wordAt(word)) & inside);
        word += 1;
      }
    }
  }
  return ranges;
}
