import type { Counts } from '../../src/refcount/counts.js';

/** All counts, by cluster. */
export function countList(counts: Counts): number[] {
  return Array.from({ length: counts.clusters }, (_, cluster) => counts.get(cluster));
}

/** Sets the counts from cluster 0 on. */
export function setCounts(counts: Counts, list: readonly number[]): void {
  list.forEach((count, cluster) => {
    counts.set(cluster, count);
  });
}
