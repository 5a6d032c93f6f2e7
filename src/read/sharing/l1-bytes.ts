import { clustersToHold } from '../../base/units.js';
import type { Geometry } from '../../qcow2/geometry.js';

/** What an L1 table takes, in whole clusters. */
export function l1Bytes({ clusterBytes }: Geometry, entries: number): number {
  return clustersToHold(entries * 8, clusterBytes) * clusterBytes;
}
