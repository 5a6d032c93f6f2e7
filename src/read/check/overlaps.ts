import type { OpenImage } from '../../image/image.js';
import { regionClusters, type Region } from '../../refs/regions.js';
import type { Counts } from '../../refcount/counts.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import { sharedJunkBlocks } from './lost-blocks.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/**
 * Metadata has no references but those of its owner. QEMU counts another one and calls the image
 * sound if the refcount agrees; a write through one owner then destroys what the other has.
 *
 * @param disks the active disk and all snapshots.
 * @returns the clusters of metadata that something else refers to.
 */
export async function checkOverlaps(
  image: OpenImage,
  table: StoredRefcountTable,
  references: References,
  disks: number,
  collector: FindingCollector,
): Promise<ReadonlySet<number>> {
  const { clusterBytes } = image.geometry;
  const { counts } = references.counter;
  const { fileClusters } = references.scan.format;
  const seen = new Set<number>();
  const add = (
    structure: Region['owner'] | 'active-l2' | 'inactive-l2',
    cluster: number,
    own: number,
    ofRefcounts = false,
  ): void => {
    const others = counts.get(cluster) - own;
    if (others <= 0 || seen.has(cluster)) return;
    seen.add(cluster);
    const at = cluster * clusterBytes;
    collector.add('METADATA_OVERLAP', { structure, at, cluster, facts: { others }, ofRefcounts });
  };
  const isWrong = table.isSound ? await hasJunkBlocks(image, table, counts, disks) : true;
  const blocks = Array.from(new Set(table.blocks), (at): Region => {
    return { owner: 'refcount-block', at, bytes: clusterBytes };
  });
  // Where refcounts are one of the two, it is they that can be made anew.
  const isOfRefcounts = ({ owner }: Region): boolean =>
    owner === 'refcount-table' || owner === 'refcount-block';
  const { regions } = references;
  const inOrder = [
    ...regions.filter(isOfRefcounts),
    ...blocks,
    ...regions.filter((region) => !isOfRefcounts(region)),
  ];
  for (const region of inOrder) {
    // What lies nowhere, off a cluster's start or behind the end has a finding of its own.
    if (region.owner === 'refcount-block' && (region.at === 0 || region.at % clusterBytes !== 0))
      continue;
    const [first, end] = regionClusters(region, clusterBytes);
    for (let cluster = first; cluster < Math.min(end, fileClusters); cluster++)
      add(region.owner, cluster, 1, isWrong && isOfRefcounts(region));
  }
  const { offsets, active, inactive } = references.tally;
  offsets.forEach((offset, index) => {
    if (offset === 0 || offset % clusterBytes !== 0 || offset / clusterBytes >= fileClusters)
      return;
    const structure = active[index] === 0 ? 'inactive-l2' : 'active-l2';
    add(structure, offset / clusterBytes, active[index]! + inactive[index]!);
  });
  return seen;
}

/** Whether a block that something else names holds no refcounts: then it is what is wrong, and all are made anew. */
async function hasJunkBlocks(
  image: OpenImage,
  { blocks }: StoredRefcountTable,
  counts: Counts,
  disks: number,
): Promise<boolean> {
  const isJunk = await sharedJunkBlocks(image, counts, blocks, disks);
  return blocks.some((_, block) => isJunk(block));
}
