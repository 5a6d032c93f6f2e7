import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { Counts } from '../../refcount/counts.js';
import { lastUsed } from './used-end.js';

/**
 * The clusters to move: the last ones that are in use, as many as there are free ones in front of them.
 *
 * @param first clusters before this one stay.
 * @param end the cluster behind the last one that is in use.
 * @returns ascending, at most `most`.
 */
export function chooseFar(
  counts: Counts,
  free: ClusterSet,
  [first, end]: readonly [first: number, end: number],
  most: number,
): readonly number[] {
  const chosen: number[] = [];
  let place = free.next(1);
  for (let far = lastUsed(counts, end); far >= first && place < far; far = lastUsed(counts, far)) {
    if (chosen.length === most) break;
    chosen.push(far);
    place = free.next(place + 1);
  }
  return chosen.reverse();
}
