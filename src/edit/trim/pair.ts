import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { MovedClusters } from '../../l1l2/moved.js';
import type { FarReferences } from './far-references.js';

/** New places for clusters, and what to copy for that. */
export interface Pairs extends MovedClusters {
  /** Clusters that are copied and where to, ascending. Where packed data is parted from its neighbours, one is copied twice. */
  readonly copies: readonly { readonly source: number; readonly target: number }[];
}

/**
 * Finds places in front for clusters of guest data. Packed data that reaches into the next cluster keeps it behind
 * itself: so such clusters stay together, or their ends are copied twice.
 *
 * ```
 *           8      9      10        packed data reaches from 8 into 9, and from 9 into 10
 *         [aabb][bbcc][ccdd]
 *
 *           2      3             5      6         free clusters: 2, 3, 5, 6
 *         [aabb][bb  ]         [  cc][ccdd]       8 → 2 (with 9 behind it), 9 → 5, 10 → 6
 * ```
 *
 * @param from no entry leads to this cluster or behind it afterwards.
 * @returns undefined where the free clusters before `from` don't suffice.
 */
export function pairClusters(
  from: number,
  { plain, packed }: FarReferences,
  free: ClusterSet,
): Pairs | undefined {
  const reach = new Map<number, number>();
  for (const cluster of plain.keys()) if (cluster >= from) reach.set(cluster, 0);
  for (const [first, byReach] of packed) {
    const farthest = byReach.length - 1;
    if (first + farthest >= from) reach.set(first, farthest);
  }
  const to = new Map<number, number>();
  const copies: { source: number; target: number }[] = [];
  let [runEnd, next] = [0, 0];
  for (const cluster of [...reach.keys()].sort((a, b) => a - b)) {
    const behind = reach.get(cluster)!;
    const before = to.get(cluster - 1);
    // Behind its neighbour the cluster may lie already.
    let place = before !== undefined && before + 1 + behind < runEnd ? before + 1 : next;
    while (place + behind >= runEnd) {
      place = free.next(runEnd);
      if (place + behind >= from) return undefined;
      runEnd = free.nextMissing(place, from);
      next = place;
    }
    to.set(cluster, place);
    for (; next <= place + behind; next++) {
      copies.push({ source: cluster + next - place, target: next });
    }
  }
  return { from, to, copies };
}
