import { clustersToHold, roundUp } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import type { Ledger } from '../plan/ledger.js';
import type { ByteRange } from '../../io/device.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { scanOf } from '../../l1l2/scan.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import type { RepairChoice } from './choice.js';
import { countMended } from './count.js';
import type { TableMender } from './mend-tables.js';
import type { DecidedRefcounts } from './decide-refcounts.js';
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
 * Finds the clusters that new copies may go to: behind the end of the file if it can grow, else free clusters inside.
 * Such a cluster must be free in the old state, too: a table that moves, or a snapshot that is dropped, still has its
 * clusters until the switch.
 *
 * @param undropped the image with all bitmaps.
 */
export async function freeClusters(
  checked: CheckedImage,
  counts: Counts,
  { storedFree }: DecidedRefcounts,
  leave: (cluster: number) => boolean,
  unknowns: Unknowns,
  undropped: OpenImage,
  choice: RepairChoice,
  mender: TableMender,
): Promise<ClusterSet> {
  const { image, table } = checked;
  const free = new ClusterSet(counts.clusters);
  if (image.mayGrow) unknowns.addFree(free);
  if (image.mayGrow || unknowns.ownersUnknown || table.stop !== undefined) return free;
  const { fileClusters } = mender.format;
  const isDropping = (choice.dropSnapshots ?? []).length > 0 || undropped !== image;
  const before = isDropping ? await countUndropped(undropped, mender, counts) : counts;
  for (let c = storedFree.next(1); c < fileClusters; c = storedFree.next(c + 1)) {
    if (counts.get(c) === 0 && before.get(c) === 0 && !leave(c)) free.add(c);
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

/** Clusters that count as free from now on, and did not before, neighbours joined. */
export function freedBy(
  { counts, endCluster }: Ledger,
  { storedFree }: DecidedRefcounts,
  clusterBytes: number,
): readonly ByteRange[] {
  const ranges: { at: number; length: number }[] = [];
  for (let block = 0; block < counts.touched.length; block++) {
    if (counts.touched[block] === 0) continue;
    const first = block * 2 ** counts.blockShift;
    const end = Math.min(first + 2 ** counts.blockShift, endCluster);
    for (let cluster = first; cluster < end; cluster++) {
      if (counts.get(cluster) !== 0 || storedFree.has(cluster)) continue;
      const at = cluster * clusterBytes;
      const last = ranges.at(-1);
      if (last !== undefined && last.at + last.length === at) last.length += clusterBytes;
      else ranges.push({ at, length: clusterBytes });
    }
  }
  return ranges;
}
