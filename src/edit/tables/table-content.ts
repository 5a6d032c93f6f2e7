import type { NewEntryKind } from '../../l1l2/new-entry.js';
import type { MovedClusters } from '../../l1l2/moved.js';
import type { Scan } from '../../l1l2/scan.js';
import type { Counts } from '../../refcount/counts.js';

/**
 * What the tables of a plan are made of: values alone, so that a plan can be shown, saved, checked and carried out, and
 * each time gives the same bytes. The counts among them no longer change once a plan is made.
 */
export type TableContent =
  AsRead | EncryptedData | RefcountBlocks | FlaggedTables | NewTables | MendedTables | SectorsOf;

/** Tables as they were read, or zeros where nothing was read. */
export interface AsRead {
  readonly kind: 'as-read';
  /** What the first table begins with. */
  readonly head?: Uint8Array | undefined;
}

/** Clusters of guest data that are encrypted as they are written. */
export interface EncryptedData {
  readonly kind: 'encrypted';
  readonly encrypt: (bytes: Uint8Array, firstSector: number) => void;
  /** By cluster: the offset that numbers its sectors. */
  readonly places: Float64Array;
}

/** Refcount blocks, made from counts alone. */
export interface RefcountBlocks {
  readonly kind: 'refcounts';
  readonly counts: Counts;
  readonly refcountBits: number;
  /** By table: the first cluster that it counts. */
  readonly firstClusters: Float64Array;
}

/** L2 tables that are right but for their COPIED flags, for clusters that lie elsewhere, and for zero flags. */
export interface FlaggedTables {
  readonly kind: 'flags';
  readonly scan: Scan;
  /** The refcounts that the flags are to agree with. */
  readonly counts: Counts;
  /** By table: 1 where no entry has the flag, since two L1 entries point at the table. */
  readonly isShared: Uint8Array;
  readonly moved?: MovedClusters | undefined;
  readonly zeros?: WithoutZeros | undefined;
}

/** What becomes of entries with the zero flag, which version 2 has not. */
export interface WithoutZeros {
  /**
   * By table: host offset of the first of as many clusters of zeros as the table has such entries; 0 where they become
   * unallocated, since nothing lies below.
   */
  readonly dataAt: Float64Array;
}

/** L2 tables that an edit makes anew, each for one disk. */
export interface NewTables {
  readonly kind: 'new';
  readonly tables: readonly NewL2Table[];
  /** Host offset of the first cluster of new guest data. */
  readonly dataAt: number;
  /** Host offsets of the clusters that entries of kind `placed` get. */
  readonly places: Float64Array;
  readonly scan: Scan;
  readonly counts: Counts;
}

/** What one of them holds, COPIED flags aside. */
export interface NewL2Table {
  /** Whose L1 gets it, by the position in the new snapshot table; undefined: the active disk's. */
  readonly snapshot?: number;
  /** Which entry of that L1 points at it; the entry is 0 in the new L1. */
  readonly l1Index: number;
  /** Entries as host-order words; undefined: all of them are 0. */
  readonly words: Uint32Array | undefined;
  /** Entries that are set over these. */
  readonly runs: readonly NewEntries[];
}

/** Entries in a row that map host clusters in a row. */
export interface NewEntries {
  readonly first: number;
  readonly count: number;
  readonly kind: NewEntryKind | 'placed';
  /**
   * Which cluster of the new guest data the first entry maps; 0 for `zero`. For `placed` which of the places: each entry
   * has one.
   */
  readonly dataCluster: number;
}

/** L2 tables that a repair mends, or of which it sets the COPIED flags. */
export interface MendedTables {
  readonly kind: 'mended';
  readonly tables: readonly MendedTable[];
  readonly mender: WholeTableMender;
  readonly scan: Scan;
  readonly counts: Counts;
}

/** What becomes of one of them. */
export interface MendedTable {
  /** Host offset of the table as it is stored, by which findings of its entries are named. */
  readonly at: number;
  /** Whether its entries are mended. */
  readonly mends: boolean;
  /** COPIED flags: set `by-counts`, `all` set as in an image with an external data file, or left `as-read`. */
  readonly flags: 'by-counts' | 'all' | 'as-read';
}

/** Mends all entries of an L2 table in host-order words, each time in the same way. */
export interface WholeTableMender {
  mendWholeL2(words: Uint32Array, tableAt: number, scan: Scan): void;
}

/** Sectors of tables that are changed where they lie. */
export interface SectorsOf {
  readonly kind: 'sectors';
  readonly of: RefcountBlocks | FlaggedTables;
  /** By sector: which table it belongs to, and where in it the sector begins, in bytes. */
  readonly tables: readonly number[];
  readonly offsets: readonly number[];
}
