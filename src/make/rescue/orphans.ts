import type { ClusterSet } from '../../refcount/cluster-set.js';
import { votedTables, type VotedTable } from '../../read/scan/table-votes.js';
import { clusterAt, isInUse, type Evidence } from './evidence.js';
import { luksRegions } from './luks-region.js';
import type { Root } from './root.js';

/** An L2 table that no L1 table leads to, and where its content says that it belongs. */
export interface Orphan extends VotedTable {
  /** By the refcounts: whether the table is in use; undefined where they say nothing. */
  readonly isInUse: boolean | undefined;
}

/**
 * Finds the L2 tables that no L1 table leads to, and the L1 index that each belongs to, as `votedTables` tells it.
 *
 * @param isTaken whether a cluster has a known use: for tables, refcounts or guest data.
 */
export async function findOrphans(
  roots: readonly Root[],
  isTaken: (cluster: number) => boolean,
  evidence: Evidence,
): Promise<readonly Orphan[]> {
  const places = evidence.swept.tables.filter((at) => !isTaken(clusterAt(at, evidence)));
  const indexes = new Map<number, number>();
  for (const { tables } of roots) {
    tables.forEach((at, index) => {
      if (at > 0 && !indexes.has(at)) indexes.set(at, index);
    });
  }
  const tables = await votedTables(places, indexes, evidence);
  return tables.map((table) => ({ ...table, isInUse: isInUse(table.at, evidence) }));
}

/** Clusters that the L1 tables, the refcounts and the L2 tables of roots lie in. */
export function addMetadata(set: ClusterSet, roots: readonly Root[], evidence: Evidence): void {
  const { clusterBytes } = evidence.format.geometry;
  set.add(0);
  for (const cluster of evidence.refcounts.owned) if (cluster < set.clusters) set.add(cluster);
  addRegions(set, luksRegions(evidence.head), clusterBytes);
  for (const { l1At, tables } of roots) {
    if (l1At !== undefined) {
      // Behind the last entry in use may lie what the header wrongly takes for a part of the table.
      const entries = tables.findLastIndex((at) => at !== 0) + 1;
      addRegions(set, [{ at: l1At, bytes: Math.max(1, entries * 8) }], clusterBytes);
    }
    for (const at of tables) {
      const cluster = at / clusterBytes;
      if (at > 0 && evidence.swept.isTable.has(cluster)) set.add(cluster);
    }
  }
}

/** Adds the clusters of regions, as far as they lie in the file. */
export function addRegions(
  set: ClusterSet,
  regions: Evidence['ownRegions'],
  clusterBytes: number,
): void {
  for (const { at, bytes } of regions) {
    const first = Math.floor(at / clusterBytes);
    set.addRange(first, Math.min(first + Math.ceil(bytes / clusterBytes), set.clusters));
  }
}
