import { clustersToHold } from '../../base/units.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { Evidence } from './evidence.js';
import type { FoundRoots } from './find-roots.js';
import type { Root } from './root.js';
import { NO_REFCOUNTS } from './stored-refcounts.js';
import { weighTables } from './weigh.js';

/** With more than this share of wrong refcounts among the clusters of metadata, no refcount is believed. */
const WRONG_TABLES_SHARE = 1 / 4;
/** With more than this share of refcounts of 0 among the referenced clusters, no refcount is believed. */
const FREE_SHARE = 1 / 2;

/**
 * Drops the refcounts from the evidence if they contradict the tables that the header and the snapshot table lead to.
 * Single contradictions prove nothing, since one pointer with a flipped bit may lead to many clusters of another disk.
 * The refcounts are dropped if too many clusters of metadata have a refcount other than 1, or if most of the
 * referenced clusters have one of 0.
 */
export async function withBelievedRefcounts(
  evidence: Evidence,
  { active, snapshots }: FoundRoots,
): Promise<Evidence> {
  if (!evidence.refcounts.isKnown) return evidence;
  const roots = [...(active === undefined ? [] : [active]), ...snapshots];
  const areTablesWrong = isTableShareWrong(roots, evidence);
  const isBelieved = !areTablesWrong && !(await areMostFree(roots, evidence));
  return isBelieved ? evidence : { ...evidence, refcounts: NO_REFCOUNTS };
}

/** Whether too many of the header's cluster, the refcount structures and the L1 tables have no refcount of 1. */
function isTableShareWrong(roots: readonly Root[], { refcounts, format }: Evidence): boolean {
  const { clusterBytes } = format.geometry;
  const own = new Set([0, ...refcounts.owned]);
  for (const { l1At, tables } of roots) {
    if (l1At === undefined) continue;
    const clusters = clustersToHold(tables.length * 8, clusterBytes);
    for (let i = 0; i < clusters; i++) own.add(l1At / clusterBytes + i);
  }
  let [known, wrong] = [0, 0];
  for (const cluster of own) {
    const stored = refcounts.of(cluster);
    if (stored === undefined) continue;
    known += 1;
    if (stored !== 1) wrong += 1;
  }
  // A single one may be a flipped bit.
  return wrong > 1 && wrong > known * WRONG_TABLES_SHARE;
}

async function areMostFree(roots: readonly Root[], evidence: Evidence): Promise<boolean> {
  const { refcounts, format } = evidence;
  const { counts } = await weighTables(roots, new ClusterSet(format.fileClusters + 1), evidence);
  let [used, free] = [0, 0];
  for (let cluster = 1; cluster < format.fileClusters; cluster++) {
    const stored = refcounts.of(cluster);
    if (stored === undefined || counts.get(cluster) === 0) continue;
    used += 1;
    if (stored === 0) free += 1;
  }
  return free > 1 && free > used * FREE_SHARE;
}
