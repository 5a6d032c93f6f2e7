import type { L1Ref } from '../../qcow2/header.js';
import type { SnapshotEntry } from '../../qcow2/snapshot-table.js';

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
  /** L2 tables that the new active L1 gets besides those that it points at. */
  readonly newL2Tables?: readonly NewL2Table[];
  /** Clusters for what these tables map. */
  readonly newData?: NewData | undefined;
}

/** An L2 table that is made anew, for the active disk alone. */
export interface NewL2Table {
  /** Which entry of the active L1 points at it; that entry is 0 in `activeL1`. */
  readonly l1Index: number;
  /**
   * Writes the entries as host-order words, COPIED flags of no meaning, into words that are 0. Pure.
   *
   * @param dataAt host offset of the first cluster of `newData`.
   */
  readonly fill: (words: Uint32Array, dataAt: number) => void;
}

/** Guest data that comes with an edit: clusters in a row past the end of the file. */
export interface NewData {
  readonly clusters: number;
  /** What the first one holds; the others hold zeros. */
  readonly first: Uint8Array | undefined;
  /** Write the zeros too, so that the medium has room for them. */
  readonly written: boolean;
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
