import type { L1Ref } from '../qcow2/header.js';
import type { SnapshotEntry } from '../qcow2/snapshot-table.js';

/**
 * An edit is a function from the old metadata tree to the new one. This is the new one: what the
 * image is to hold. Where it goes is not decided here.
 */
export interface NextState {
  readonly diskSizeBytes: number;
  /**
   * Entries of the new active L1 as host-order words, flags of no meaning; undefined: the active
   * L1 stays as it is, and so do all L2 tables and the refcounts of guest data.
   */
  readonly activeL1: Uint32Array | undefined;
  readonly snapshots: readonly NextSnapshot[];
}

export interface NextSnapshot {
  readonly entry: Omit<SnapshotEntry, 'l1'>;
  /** The L1 that the snapshot has already, or the entries of a new one. */
  readonly l1: KeptL1 | NewL1;
}

export interface KeptL1 {
  readonly kind: 'kept';
  readonly ref: L1Ref;
  /** Index of the snapshot in the old table. */
  readonly index: number;
}

export interface NewL1 {
  readonly kind: 'new';
  /** Host-order words, flags of no meaning. */
  readonly words: Uint32Array;
}
