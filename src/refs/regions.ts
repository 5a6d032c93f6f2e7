import { clustersToHold, roundUp } from '../base/units.js';
import { hex } from '../base/words.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import { damaged } from '../image/damage.js';
import type { Image } from '../image/image.js';
import type { ByteRange } from '../io/device.js';

/**
 * Who a metadata cluster belongs to, by the names that QEMU's overlap checks use. LUKS headers and
 * bitmap tables have none there.
 */
export type RegionOwner =
  | 'main-header'
  | 'active-l1'
  | 'refcount-table'
  | 'refcount-block'
  | 'snapshot-table'
  | 'inactive-l1'
  | 'bitmap-directory'
  | 'bitmap-table'
  | 'luks-header';

/** A stretch of metadata that exactly one structure may own. */
export interface Region {
  readonly owner: RegionOwner;
  readonly at: number;
  readonly bytes: number;
}

/** All metadata but L2 tables, which several L1s may share. Regions of no length are left out. */
export function metadataRegions(image: Image, refcountBlocks: Float64Array): readonly Region[] {
  const { header, geometry } = image;
  const regions: Region[] = [
    { owner: 'main-header', at: 0, bytes: geometry.clusterBytes },
    {
      owner: 'refcount-table',
      at: header.refcountTable.at,
      bytes: header.refcountTable.clusters * geometry.clusterBytes,
    },
    { owner: 'snapshot-table', at: header.snapshotTable.at, bytes: image.snapshotTableBytes },
    { owner: 'active-l1', at: header.activeL1.at, bytes: header.activeL1.entries * 8 },
  ];
  for (const { l1 } of image.snapshots) {
    regions.push({ owner: 'inactive-l1', at: l1.at, bytes: l1.entries * 8 });
  }
  for (const at of refcountBlocks) {
    if (at !== 0) regions.push({ owner: 'refcount-block', at, bytes: geometry.clusterBytes });
  }
  for (const extension of image.extensions) {
    if (extension.kind === 'encryption-header') {
      regions.push({ owner: 'luks-header', ...extension.header });
    }
    if (extension.kind === 'bitmaps' && header.bitmapsConsistent) {
      const { directoryAt, directoryBytes } = extension.bitmaps;
      regions.push({ owner: 'bitmap-directory', at: directoryAt, bytes: directoryBytes });
    }
  }
  for (const { table } of image.bitmaps) {
    regions.push({ owner: 'bitmap-table', at: table.at, bytes: table.entries * 8 });
  }
  return regions.filter((region) => region.bytes > 0);
}

const WITH_SLACK: ReadonlySet<RegionOwner> = new Set([
  ...(['snapshot-table', 'active-l1', 'inactive-l1'] as const),
]);

/** What the snapshot table and the L1 tables leave of their last clusters. Ranges may have no length. */
export function tableSlack(regions: readonly Region[], clusterBytes: number): readonly ByteRange[] {
  return regions
    .filter(({ owner }) => WITH_SLACK.has(owner))
    .map(({ at, bytes }) => {
      const end = at + bytes;
      return { at: end, length: roundUp(end, clusterBytes) - end };
    });
}

/** First cluster of a region and the one after its last. */
export function regionClusters(region: Region, clusterBytes: number): [number, number] {
  const first = Math.floor(region.at / clusterBytes);
  return [first, first + clustersToHold(region.bytes, clusterBytes)];
}

/**
 * The clusters of all regions, once it is sure that each lies in the file and none over another.
 *
 * @throws QsnapError IMAGE_DAMAGED.
 */
export function claimRegions(
  regions: readonly Region[],
  clusterBytes: number,
  fileClusters: number,
): ClusterSet {
  const claimed = new ClusterSet(fileClusters);
  for (const region of regions) {
    const [first, end] = regionClusters(region, clusterBytes);
    if (end > fileClusters) {
      throw regionDamage(region, `lies outside the file of ${fileClusters} clusters`);
    }
    for (let cluster = first; cluster < end; cluster++) {
      if (claimed.has(cluster)) {
        const at = hex(cluster * clusterBytes);
        throw regionDamage(region, `shares the cluster at ${at} with other metadata`);
      }
      claimed.add(cluster);
    }
  }
  return claimed;
}

function regionDamage(region: Region, what: string): Error {
  const { owner, at, bytes } = region;
  const message = `the ${owner} of ${bytes} bytes at ${hex(at)} ${what}`;
  return damaged({ structure: owner, at, message });
}
