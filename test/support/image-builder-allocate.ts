/** Clusters and their refcounts, for the plain guest: the first free one is taken. */
import {
  blockAt,
  blockEntries,
  layoutOf,
  putRefcountAt,
  putU32,
  putU64,
  refcountOf,
  type PlainDisk,
  type PlainLayout,
} from './image-builder-layout.js';

/** Takes the first cluster that counts as free, growing file and refcount structures as needed. */
export function allocateCluster(disk: PlainDisk): number {
  let layout = layoutOf(disk.bytes);
  for (let cluster = 1; ; cluster++) {
    if (blockAt(disk.bytes, layout, cluster) === 0) {
      addBlock(disk, layout, cluster);
      layout = layoutOf(disk.bytes);
    }
    if (refcountOf(disk.bytes, layout, cluster) !== 0n) continue;
    reach(disk, cluster + 1);
    changeRefcount(disk, cluster, 1n);
    return cluster;
  }
}

/** Makes the free cluster `cluster`, the first without a refcount block, the block itself. */
function addBlock(disk: PlainDisk, layout: PlainLayout, cluster: number): void {
  const { clusterBytes, refcountBits, refcountTableAt, refcountTableClusters } = layout;
  const index = Math.floor(cluster / blockEntries(layout));
  reach(disk, cluster + 1);
  const block = cluster * clusterBytes;
  disk.bytes.fill(0, block, block + clusterBytes);
  putRefcountAt(disk.bytes, block, refcountBits, cluster % blockEntries(layout), 1n);
  if (index < (refcountTableClusters * clusterBytes) / 8) {
    putU64(disk.bytes, refcountTableAt + index * 8, BigInt(block));
    return;
  }
  // A longer table goes right behind the new block, which counts it.
  const clusters = refcountTableClusters + 1;
  if (1 + clusters > blockEntries(layout)) throw new RangeError('a block too small for the table');
  const tableAt = (cluster + 1) * clusterBytes;
  reach(disk, cluster + 1 + clusters);
  const { bytes } = disk;
  bytes.fill(0, tableAt, tableAt + clusters * clusterBytes);
  bytes.copyWithin(
    tableAt,
    refcountTableAt,
    refcountTableAt + refcountTableClusters * clusterBytes,
  );
  putU64(bytes, tableAt + index * 8, BigInt(block));
  for (let i = 1; i <= clusters; i++) {
    putRefcountAt(bytes, block, refcountBits, (cluster + i) % blockEntries(layout), 1n);
  }
  putU64(bytes, 48, BigInt(tableAt));
  putU32(bytes, 56, clusters);
  for (let i = 0; i < refcountTableClusters; i++) {
    changeRefcount(disk, refcountTableAt / clusterBytes + i, -1n);
  }
}

function reach(disk: PlainDisk, clusters: number): void {
  const length = clusters * layoutOf(disk.bytes).clusterBytes;
  if (length <= disk.bytes.length) return;
  const longer = new Uint8Array(length);
  longer.set(disk.bytes);
  disk.bytes = longer;
}

/** Adds to the refcount of a cluster that has a refcount block. */
export function changeRefcount(disk: PlainDisk, cluster: number, by: bigint): void {
  const layout = layoutOf(disk.bytes);
  const block = blockAt(disk.bytes, layout, cluster);
  if (block === 0) throw new RangeError(`cluster ${cluster} has no refcount block`);
  const count = refcountOf(disk.bytes, layout, cluster) + by;
  if (count < 0n) throw new RangeError(`cluster ${cluster} has a refcount of 0 already`);
  putRefcountAt(disk.bytes, block, layout.refcountBits, cluster % blockEntries(layout), count);
}
