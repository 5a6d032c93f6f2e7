import { GiB } from '../../base/units.js';
import { behindDiskText, findBehindDisk } from '../../image/behind-disk.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import { findEmptiedTables } from './emptied-tables.js';
import { checkDataFile } from './data-file.js';
import type { Excess } from './excess.js';
import type { Unreferenced } from './report.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';
import { findUnreferencedTables } from './unreferenced-tables.js';

/** Bytes of unreferenced clusters that are looked at. More would take longer than the rest of the check. */
export const LOOK_BYTES = 4 * GiB;

interface Losses {
  readonly ownersHidden: boolean;
  readonly unreferenced: Unreferenced | undefined;
}

/**
 * Looks for signs of lost tables and lost guest data: a file that was cut off, a disk whose size is too small, a
 * cluster at two places of one disk, a header that wrongly says that there is a data file. If clusters have higher
 * refcounts than references, it also looks for emptied tables, and for tables among the clusters that nothing refers to.
 *
 * @param overlapped clusters of metadata that something else refers to.
 * @returns `ownersHidden`: whether a table may be lost that referred to clusters; then no cluster is known to be
 *   leaked. `unreferenced`: the contents of clusters that nothing refers to.
 */
export async function findLosses(
  { image }: CheckedImage,
  references: References,
  table: StoredRefcountTable,
  excess: Excess,
  {
    overlapped,
    lookBytes,
  }: { readonly overlapped: ReadonlySet<number>; readonly lookBytes: number },
  collector: FindingCollector,
): Promise<Losses> {
  await references.cutOff.judge(table, collector);
  for (const behind of await findBehindDisk(image)) {
    const { structure, at } = behind;
    collector.add('DISK_SIZE_TOO_SMALL', {
      structure,
      at,
      facts: { what: behindDiskText(behind) },
    });
  }
  addTwoPlaces(image.geometry.clusterBytes, references, overlapped, collector);
  let unreferenced: Unreferenced | undefined;
  if (!excess.isEmpty) {
    addContradiction(image.header.dirty, excess, table, collector);
    if (excess.doubted > 0) {
      const where = { structure: 'file', at: table.at } as const;
      collector.add('CLUSTERS_DOUBTED', { ...where, found: excess.doubted });
    }
    unreferenced = await findUnreferencedTables(image, references, excess, lookBytes, collector);
    // What holds nothing but zeros was lost by nobody.
    const mayBeLost = unreferenced.zeros < unreferenced.clusters || excess.overcountedClusters > 0;
    if (mayBeLost) await findEmptiedTables(image, references, excess, collector);
  }
  await checkDataFile(image, references, excess, collector);
  const { unreadable, inferred } = collector.ownersHidden;
  return { ownersHidden: unreadable || inferred, unreferenced };
}

/** Clusters that a disk has at two places, or tables that the active L1 has at two. */
function addTwoPlaces(
  clusterBytes: number,
  { tally, taken, repeated }: References,
  overlapped: ReadonlySet<number>,
  collector: FindingCollector,
): void {
  const add = (cluster: number, structure: 'active-l2' | 'inactive-l2' = 'active-l2'): void => {
    collector.add('CLUSTER_AT_TWO_PLACES', { structure, at: cluster * clusterBytes, cluster });
  };
  // What lies over metadata has a finding of its own.
  for (const cluster of taken) if (!overlapped.has(cluster)) add(cluster);
  for (const cluster of repeated) {
    if (!overlapped.has(cluster) && !taken.has(cluster)) add(cluster, 'inactive-l2');
  }
  tally.offsets.forEach((offset, index) => {
    if (offset !== 0 && tally.active[index]! > 1) add(Math.floor(offset / clusterBytes));
  });
}

/**
 * Adds the finding that some refcounts are too high and others too low. A program that a power cut stops leaves
 * only leaks, since it raises a refcount before it writes the pointer. A program with lazy refcounts leaves both,
 * but sets the dirty bit. So both without the dirty bit have another cause.
 */
function addContradiction(
  isDirty: boolean,
  { undercounted, overcountedInSound }: Excess,
  { at }: StoredRefcountTable,
  collector: FindingCollector,
): void {
  if (isDirty || undercounted === 0 || overcountedInSound === 0) return;
  const numbers = { found: overcountedInSound, expected: undercounted };
  // Not of the refcounts alone: it is the tables that may be wrong.
  collector.add('REFCOUNTS_CONTRADICT', { structure: 'file', at, ...numbers });
}
