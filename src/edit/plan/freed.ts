import type { ByteRange } from '../../io/device.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { visitBits } from '../../refcount/bits.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { Counts } from '../../refcount/counts.js';

/**
 * Clusters that were in use before the edit and are free after it, neighbours joined.
 *
 * @param free those that were free before and still are.
 */
export function freedRanges(
  counts: Counts,
  free: ClusterSet,
  { clusterBytes, refcountBlockEntries }: Geometry,
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
    if (counts.touched[block] === 0) continue;
    const endWord = ((block + 1) * refcountBlockEntries) / 32;
    for (let word = (block * refcountBlockEntries) / 32; word < endWord;) {
      const used = counts.usedAt(word);
      if (used === -1) word = counts.endOfAlike(word, endWord);
      else {
        addClusters(word * 32, ~(used | free.wordAt(word)));
        word += 1;
      }
    }
  }
  return ranges;
}
