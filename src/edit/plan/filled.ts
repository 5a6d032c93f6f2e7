import { isZero } from '../../base/bytes.js';
import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import type { BlockSource } from '../../io/device.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { SECTOR_BYTES } from './in-place-writes.js';

/** Bytes that are looked through at most, and at a time. Ours. */
const LOOK_BYTES = 256 * MiB;
const BATCH_BYTES = MiB;

/**
 * Clusters that surely are no holes, whole or in part: each of their sectors has a byte other than 0. They
 * can be written to on a full disk.
 *
 * @param clusters where to look.
 * @param wanted how many are enough.
 */
export async function filledClusters(
  source: BlockSource,
  clusters: ClusterSet,
  clusterBytes: number,
  wanted: number,
): Promise<ClusterSet> {
  const filled = new ClusterSet(clusters.clusters);
  const perBatch = Math.max(1, BATCH_BYTES / clusterBytes);
  const memory = newIoBytes(perBatch * clusterBytes);
  let found = 0;
  let looked = 0;
  for (let next = clusters.next(0); next < clusters.clusters && found < wanted;) {
    if (looked >= LOOK_BYTES) break;
    const batch: number[] = [];
    for (; batch.length < perBatch && next < clusters.clusters; next = clusters.next(next + 1)) {
      batch.push(next);
    }
    const bytesAt = (i: number): Uint8Array =>
      memory.subarray(i * clusterBytes, (i + 1) * clusterBytes);
    const reads = batch.map((cluster, i) => ({ at: cluster * clusterBytes, into: bytesAt(i) }));
    await source.readBatch(reads);
    looked += batch.length * clusterBytes;
    for (const [i, cluster] of batch.entries()) {
      if (found === wanted || !isFilled(bytesAt(i))) continue;
      filled.add(cluster);
      found += 1;
    }
  }
  return filled;
}

function isFilled(cluster: Uint8Array): boolean {
  for (let at = 0; at < cluster.length; at += SECTOR_BYTES) {
    if (isZero(cluster, at, at + SECTOR_BYTES)) return false;
  }
  return true;
}
