import type { ByteRange } from '../../io/device.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';

/** The free clusters before the cluster `end`, neighbours joined. */
export function freeRanges(
  free: ClusterSet,
  end: number,
  clusterBytes: number,
): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let first = free.next(0); first < end;) {
    const behind = free.nextMissing(first, end);
    ranges.push({ at: first * clusterBytes, length: (behind - first) * clusterBytes });
    first = free.next(behind);
  }
  return ranges;
}
