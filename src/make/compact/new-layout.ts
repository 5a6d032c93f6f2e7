import type { HostClusters } from '../new/host-clusters.js';
import type { WriteQueue } from '../new/write-queue.js';
import type { DataRules, DataTotals } from './copy-data.js';

/** How the disks of the old image are laid out in the new one. */
export interface NewLayout {
  /** The clusters of the new file; whoever needs some takes them in order. */
  readonly clusters: HostClusters;
  /** By disk. */
  readonly l1Entries: readonly number[];
  /** Places and writes all data and L2 tables. */
  copy(queue: WriteQueue, rules: DataRules): Promise<DataTotals>;
  /** The L1 table of a disk, in whole clusters; after `copy`. */
  encodeL1(disk: number): Uint8Array;
}
