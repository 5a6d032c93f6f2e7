import { clustersToHold, roundUp } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { scanOf } from '../../l1l2/scan.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import { givesUp, type RepairChoice } from './choice.js';
import { countMended } from './count.js';
import type { TableMender } from './mend-tables.js';
import type { DecidedRefcounts } from './decide-refcounts.js';
import type { ReleasedReferences } from './released-references.js';
import type { StoredRefcounts } from './stored-refcounts.js';
import { l1Clusters, readTree, type MendedTree } from './tree.js';
import { Unknowns } from './unknowns.js';

/** The file, and room for a copy of everything that a repair may move. */
export function clustersToCount(
  tree: MendedTree,
  stored: StoredRefcounts,
  unknowns: Unknowns,
  { fileClusters, geometry }: TableFormat,
): number {
  const { clusterBytes, refcountBlockEntries } = geometry;
  const tableBytes = tree.image.snapshotTableBytes + tree.kept.length * 32;
  const moved =
    tree.tally.offsets.length + l1Clusters(tree) + clustersToHold(tableBytes, clusterBytes);
  const oldTable = clustersToHold(stored.blocks.length * 8, clusterBytes);
  let covered = fileClusters + moved;
  for (;;) {
    // New refcount blocks are clusters that have to be counted too.
    const blocks = clustersToHold(covered, refcountBlockEntries);
    const table = Math.max(oldTable, clustersToHold(blocks * 8, clusterBytes));
    const behind = unknowns.clustersToCover(moved + blocks + table);
    if (fileClusters + behind <= covered) return roundUp(covered, refcountBlockEntries);
    covered = fileClusters + behind;
  }
}

/**
 * Finds the clusters that are free in the old state: they count as free, and nothing refers to them, neither what moves
 * nor what is given up.
 *
 * @param undropped the image with all bitmaps.
 */
export async function freeBefore(
  counts: Counts,
  { storedFree }: DecidedRefcounts,
  released: ReleasedReferences,
  choice: RepairChoice,
  undropped: OpenImage,
  mender: TableMender,
): Promise<ClusterSet> {
  const before = givesUp(choice) ? await countUndropped(undropped, mender, counts) : counts;
  const free = new ClusterSet(counts.clusters);
  for (let word = 0; word * 32 < counts.clusters; word++) {
    free.addWord(word, storedFree.wordAt(word) & ~(counts.usedAt(word) | before.usedAt(word)));
  }
  for (const cluster of released.clusters()) free.delete(cluster);
  return free;
}

/**
 * Finds the clusters that new copies may go to: behind the end of the file if it can grow, else free clusters inside.
 * A table that moves, or a snapshot that is dropped, still has its clusters until the switch.
 *
 * @param old the clusters that are free in the old state.
 */
export function freeClusters(
  { image, table }: CheckedImage,
  old: ClusterSet,
  leave: (cluster: number) => boolean,
  unknowns: Unknowns,
  { fileClusters }: TableFormat,
): ClusterSet {
  const free = new ClusterSet(old.clusters);
  if (image.mayGrow) unknowns.addFree(free);
  if (image.mayGrow || unknowns.ownersUnknown || table.stop !== undefined) return free;
  for (let c = old.next(1); c < fileClusters; c = old.next(c + 1)) {
    if (!leave(c)) free.add(c);
  }
  return free;
}

/** Clusters in which a refcount block is said to lie that can't lie there. */
export function clustersNamed(
  { lost }: StoredRefcounts,
  { geometry }: TableFormat,
): ReadonlySet<number> {
  const { clusterBytes } = geometry;
  return new Set(
    [...lost.values()].flatMap((at) => {
      const last = Math.floor((at + clusterBytes - 1) / clusterBytes);
      return [Math.floor(at / clusterBytes), last];
    }),
  );
}

/** The references of an image with all its snapshots and bitmaps. */
async function countUndropped(image: OpenImage, mender: TableMender, of: Counts): Promise<Counts> {
  const unknowns = new Unknowns(false, mender.format);
  const tree = await readTree(image, mender, {}, unknowns);
  const counts = newCounts(of.clusters, image.geometry, REFCOUNT_CAP);
  await countMended(tree, scanOf(mender.format), new Float64Array(0), counts, unknowns);
  return counts;
}
