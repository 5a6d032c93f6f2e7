import type { Image } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { L1Ref } from '../../qcow2/header.js';
import { conformingEntry, type SnapshotEntry } from '../../qcow2/snapshot-table.js';
import type { NewL2Table } from '../tables/table-content.js';

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
  /** L2 tables that new L1 tables get besides those that they point at. */
  readonly newL2Tables?: readonly NewL2Table[];
  /** Clusters for what these tables map. */
  readonly newData?: NewData | undefined;
  /** Clusters for what entries of these tables get anew, each where it is free. */
  readonly newClusters?: NewClusters | undefined;
  /** Tables above the L2 level that reach behind this host offset get another place, even if they stay as they are. */
  readonly clearFrom?: number;
}

/** Guest data that comes with an edit: clusters in a row past the end of the file. */
export interface NewData {
  readonly clusters: number;
  /** What the first one holds; the others hold zeros. */
  readonly first: Uint8Array | undefined;
  /** Write the zeros too, so that the medium has room for them. */
  readonly written: boolean;
}

/** Guest data that an edit writes, a cluster at a time. */
export interface NewClusters {
  /** Guest offsets of the clusters, ascending, in the order in which entries of kind `placed` get them. */
  readonly guestOffsets: Float64Array;
  /** What they hold, at these offsets. */
  readonly disk: BlockSource;
  readonly cipher?: Encryption | undefined;
}

/** How guest data is encrypted. */
export interface Encryption {
  /** Encrypts whole sectors of 512 bytes in place. */
  readonly encrypt: (bytes: Uint8Array, firstSector: number) => void;
  /** What numbers the sectors: the place in the file, or the place on the disk. */
  readonly numberedBy: 'host' | 'guest';
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

/** All snapshots of the image as they are, with the entries that a rewritten table must hold. */
export function keptSnapshots({ snapshots, header }: Image): readonly NextSnapshot[] {
  return snapshots.map((snapshot) => ({
    entry: conformingEntry(snapshot, header.version),
    l1: { kind: 'kept', ref: snapshot.l1, index: snapshot.index },
  }));
}
