import { swapWords } from '../../base/words.js';
import { visitFar } from '../../l1l2/moved.js';
import { regionClusters } from '../../refs/regions.js';
import { walkStoredTables } from '../../refs/tables.js';
import type { AuditedEdit } from '../plan/audit.js';

/** All that refers to clusters at or behind one of them, by the L1 paths that lead to each. */
export interface FarReferences {
  /** By cluster: paths to entries that are not compressed. */
  readonly plain: ReadonlyMap<number, number>;
  /** By the cluster in which packed data begins: paths, by how many clusters further it reaches. */
  readonly packed: ReadonlyMap<number, readonly number[]>;
  /** By L2 table, as in the tally: the farthest cluster that it leads to or lies in; -1: none is so far. */
  readonly farthest: Float64Array;
  /** Clusters of tables, refcounts and the like. */
  readonly metadata: ReadonlySet<number>;
}

/** Reads all L2 tables and finds what leads to cluster `from` or behind it. */
export async function findFar(edit: AuditedEdit, from: number): Promise<FarReferences> {
  const { image, tally, scan } = edit;
  const { clusterBytes } = image.geometry;
  const plain = new Map<number, number>();
  const packed = new Map<number, number[]>();
  const farthest = tally.offsets.map((at) => (at >= from * clusterBytes ? at / clusterBytes : -1));
  await walkStoredTables(image.source, tally.offsets, clusterBytes, (index, words) => {
    const paths = tally.before[index]!;
    const note = (cluster: number): void => {
      farthest[index] = Math.max(farthest[index]!, cluster);
    };
    swapWords(words);
    visitFar(words, scan, from, {
      plain: (cluster) => {
        plain.set(cluster, (plain.get(cluster) ?? 0) + paths);
        note(cluster);
      },
      packed: (first, last) => {
        const byReach = packed.get(first) ?? [];
        byReach[last - first] = (byReach[last - first] ?? 0) + paths;
        packed.set(first, byReach);
        note(last);
      },
    });
  });
  return { plain, packed, farthest, metadata: metadataFrom(edit, from) };
}

function metadataFrom({ image, tally, regions }: AuditedEdit, from: number): ReadonlySet<number> {
  const { clusterBytes } = image.geometry;
  const clusters = new Set<number>();
  for (const at of tally.offsets) if (at >= from * clusterBytes) clusters.add(at / clusterBytes);
  for (const region of regions) {
    const [first, end] = regionClusters(region, clusterBytes);
    for (let cluster = Math.max(first, from); cluster < end; cluster++) clusters.add(cluster);
  }
  return clusters;
}
