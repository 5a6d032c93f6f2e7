import { ClusterSet } from '../refcount/cluster-set.js';
import { COMPRESSED, offsetOf } from './entry.js';
import type { Runs } from './runs.js';
import type { Scan, Taken } from './scan.js';

/**
 * Hands clusters that one plain table names at two places to `taken`. Most tables name clusters in ascending
 * order and are done in one pass over their runs.
 */
export function visitRepeatsOfRuns({ count, clusters, lengths }: Runs, taken: Taken): void {
  let end = 0;
  let isAscending = true;
  for (let run = 0; run < count && isAscending; run++) {
    isAscending = clusters[run]! >= end;
    end = clusters[run]! + lengths[run]!;
  }
  if (isAscending) return;
  const order = Int32Array.from({ length: count }, (_, run) => run).sort(
    (a, b) => clusters[a]! - clusters[b]!,
  );
  end = 0;
  for (const run of order) {
    const [first, behind] = [clusters[run]!, clusters[run]! + lengths[run]!];
    for (let cluster = first; cluster < Math.min(end, behind); cluster++) taken(cluster);
    end = Math.max(end, behind);
  }
}

/**
 * `visitRepeatsOfRuns` for a table of any kind.
 *
 * @param words in host order.
 * @param seen empty, and empty again afterwards.
 */
export function visitRepeats(
  words: Uint32Array,
  { stride, clusterBits, fileClusters }: Scan,
  seen: ClusterSet,
  taken: Taken,
): void {
  const clusterAt = (i: number): number => {
    const at = (words[i]! & COMPRESSED) === 0 ? offsetOf(words[i]!, words[i + 1]!) : 0;
    const cluster = Math.floor(at / 2 ** clusterBits);
    return cluster < fileClusters ? cluster : 0;
  };
  for (let i = 0; i < words.length; i += stride) {
    const cluster = clusterAt(i);
    if (cluster === 0) continue;
    if (seen.has(cluster)) taken(cluster);
    seen.add(cluster);
  }
  for (let i = 0; i < words.length; i += stride) seen.delete(clusterAt(i));
}
