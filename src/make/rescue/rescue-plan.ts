import { ClusterSet } from '../../refcount/cluster-set.js';
import type { Evidence } from './evidence.js';
import { type MendedPointers } from './mend-pointers.js';
import type { GivenUpEntries } from './copy-table.js';
import type { LostEntries } from './lost-entries.js';
import { type Origin, type Root, type Sureness } from './root.js';
import { type Unexplained } from './unexplained.js';

/** One disk that a rescue can bring back, and how much of it. */
export interface RescuedDisk {
  /** What it is chosen by: `active`, `snapshot-1`, `lost-1`. */
  readonly id: string;
  readonly kind: Root['kind'];
  readonly origin: Origin;
  readonly sureness: Sureness;
  readonly diskSizeBytes: number;
  readonly tablesFound: number;
  readonly tablesLost: number;
  /** Guest bytes, and bytes of VM state, that have a place in the file. */
  readonly mappedBytes: number;
  /** Guest bytes of which nobody knows what they were: they read as zeros in the copy. */
  readonly lostBytes: number;
  /**
   * Guest bytes that may be wrong: two places of the disk share their cluster, or the end of the file cuts their
   * cluster off.
   */
  readonly doubtfulBytes: number;
  /** The same as `lostBytes`, for VM state. */
  readonly lostVmStateBytes: number;
  /** Pointers of its tables that were mended. */
  readonly mendedPointers: number;
  /** Tables that may have led to what is unexplained: see `tablesInDoubt`. */
  readonly tablesInDoubt: number;
  /** The size may have a flipped bit: see `isSizeInDoubt`. */
  readonly sizeInDoubt: boolean;
  /** What its L1 table was found by, where the pointer to it had a flipped bit: one sentence without a full stop. */
  readonly hint: string | undefined;
  readonly root: Root;
}

/** What a rescue found, and what it would do: nothing is written yet. */
export interface RescuePlan {
  readonly evidence: Evidence;
  /** The active disk, if there is one, then the snapshots, then what nothing names any more. */
  readonly disks: readonly RescuedDisk[];
  /** Snapshots that the header counts, and of which no entry is left. */
  readonly snapshotsLost: number;
  /** What the refcounts know of and no disk accounts for. */
  readonly unexplained: Unexplained;
  /** Places that L2 entries with a flipped bit led to. */
  readonly mended: MendedPointers;
  /** Entries of L2 tables that are lost. */
  readonly lostEntries: LostEntries;
  /** Entries that are to be given up although they look right: none, unless somebody knows better. */
  readonly givenUp?: GivenUpEntries | undefined;
  /** Clusters in which no guest data can lie. */
  readonly metadata: ClusterSet;
  /**
   * `mended`: another cluster size than the header's was taken, since it brings back more. `open`: the header's is in
   * doubt, and none that was tried brings back more.
   */
  readonly clusterSizeDoubt: 'none' | 'mended' | 'open';
}
