import { ClusterSet } from '../../refcount/cluster-set.js';
import { isInUse, isPlace, type Evidence } from './evidence.js';
import type { MendedPointers } from './mend-pointers.js';
import { addRegions } from './orphans.js';
import { diskEntries, type Root } from './root.js';
import { indexOfTable, weighTables, type WeighedTables } from './weigh.js';

/** Clusters whose refcount is higher than the references that a rescue found: leaks, or clusters of lost tables. */
export interface Unexplained {
  /** Clusters in use to which nothing leads. */
  readonly clusters: number;
  /** Of those, the ones that hold anything but zeros. */
  readonly withData: number;
  /** Clusters with data to which less leads than their refcounts say. */
  readonly overcounted: number;
  /** Of the last two, how many look like a table. */
  readonly tables: number;
}

const NOTHING: Unexplained = { clusters: 0, withData: 0, overcounted: 0, tables: 0 };

/**
 * Compares the stored refcounts with the references to each cluster. Old L1 tables in free clusters count for
 * nothing here: they may be those of deleted snapshots.
 *
 * @param all the tables of all roots.
 */
export async function findUnexplained(
  roots: readonly Root[],
  all: WeighedTables,
  mended: MendedPointers,
  metadata: ClusterSet,
  evidence: Evidence,
): Promise<Unexplained> {
  const { refcounts, format, swept } = evidence;
  if (!refcounts.isKnown) return NOTHING;
  const owners = roots.filter(
    ({ sureness, l1At }) =>
      sureness !== 'guess' || l1At === undefined || isInUse(l1At, evidence) !== false,
  );
  const { counts } =
    owners.length === roots.length ? all : await weighTables(owners, metadata, evidence);
  const explained = explainedClusters(roots, evidence);
  const mendedTo = mendedReferences(mended, all, evidence);
  let [clusters, withData, overcounted, tables] = [0, 0, 0, 0];
  for (let cluster = 1; cluster < format.fileClusters; cluster++) {
    const stored = refcounts.of(cluster) ?? 0;
    const found = counts.get(cluster) + (mendedTo.get(cluster) ?? 0);
    // What is not counted here, such as an L1 table, has one reference.
    const isExplained = metadata.has(cluster) || explained.has(cluster);
    const references = isExplained ? Math.max(1, found) : found;
    if (stored <= references) continue;
    if (references === 0) clusters += 1;
    if (swept.isZero.has(cluster)) continue;
    if (references === 0) withData += 1;
    else overcounted += 1;
    if (swept.isTable.has(cluster)) tables += 1;
  }
  return { clusters, withData, overcounted, tables };
}

/** Clusters that something else than a table of these roots accounts for. */
function explainedClusters(roots: readonly Root[], evidence: Evidence): ClusterSet {
  const { format, ownRegions, head } = evidence;
  const { clusterBytes } = format.geometry;
  const explained = new ClusterSet(format.fileClusters);
  addRegions(explained, ownRegions, clusterBytes);
  // An L1 table that can't be read has its place all the same.
  const l1s = roots.flatMap((root) => {
    const at = root.kind === 'active' ? head.pointers?.l1At : root.snapshot?.l1.at;
    if (at === undefined || !isPlace(at, evidence)) return [];
    return [{ at, bytes: Math.max(1, diskEntries(root, evidence) * 8) }];
  });
  addRegions(explained, l1s, clusterBytes);
  return explained;
}

/** By cluster: how many references mended entries make, each as often as L1 entries lead to its table. */
function mendedReferences(
  mended: MendedPointers,
  tables: WeighedTables,
  { format }: Evidence,
): ReadonlyMap<number, number> {
  const references = new Map<number, number>();
  for (const [table, entries] of mended) {
    const weight = tables.pointers[indexOfTable(table, tables)] ?? 1;
    for (const at of entries.values()) {
      const cluster = at / format.geometry.clusterBytes;
      references.set(cluster, (references.get(cluster) ?? 0) + weight);
    }
  }
  return references;
}

/**
 * How many tables of a disk may have lost entries for unexplained clusters. An L2 table may if a whole sector of it
 * is empty. The L1 table may if it has an empty entry and an unexplained cluster looks like a table. Nobody can tell
 * an entry that was never written from one that was lost.
 */
export function tablesInDoubt(
  root: Root,
  tables: WeighedTables,
  unexplained: Unexplained,
  evidence: Evidence,
): number {
  if (unexplained.withData + unexplained.overcounted === 0) return 0;
  const disk = diskEntries(root, evidence);
  let found = 0;
  root.tables.forEach((at, index) => {
    if (at <= 0) return;
    const table = indexOfTable(at, tables);
    if (tables.emptyFrom[table]! < entriesInUse(root, index, evidence)) found += 1;
  });
  const hasRoom = root.tables.subarray(0, disk).includes(0);
  return found + (hasRoom && unexplained.tables > 0 ? 1 : 0);
}

/** How many entries of the L2 table at an L1 index map a part of the disk or its VM state. */
function entriesInUse(root: Root, index: number, evidence: Evidence): number {
  const { clusterBytes, l2CoverageBytes } = evidence.format.geometry;
  const disk = diskEntries(root, evidence);
  const bytes =
    index < disk
      ? root.diskSizeBytes - index * l2CoverageBytes
      : (root.snapshot?.vmStateBytes ?? 0) - (index - disk) * l2CoverageBytes;
  return Math.ceil(bytes / clusterBytes);
}
