import type { HostClusters } from '../new/host-clusters.js';
import { Packing } from '../new/packing.js';

/**
 * Packs compressed clusters of disks with snapshots. A host cluster is shared up to half of what its refcount can hold:
 * a snapshot more needs one reference for each of them, and QEMU counts up before it counts down.
 */
export function packingOf(clusters: HostClusters, clusterBytes: number): Packing {
  return new Packing(clusters, clusterBytes, Math.floor(clusters.countMax / 2));
}
