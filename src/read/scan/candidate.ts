import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { L1Ref } from '../../qcow2/header.js';
import type { Fate } from './fates.js';
import type { Whereabouts } from './ground.js';

/**
 * What a candidate may be.
 *
 * - `snapshot`: an entry of an old snapshot table, and with it the disk of a deleted snapshot;
 * - `l1-table`: an L1 table that no entry names: the disk of a snapshot, or an older state of the active one;
 * - `snapshot-table`: a whole old table;
 * - `l2-table`: an L2 table that no candidate for an L1 table leads to;
 * - `refcount-table`, `refcount-block`: old ones of this image;
 * - `vm-state`: the first cluster of a VM state stream;
 * - `vm-state-end`: the description at the end of one;
 * - `header`: a header of a qcow2 image: an old one of this image, or that of one on the guest's disk.
 */
export type CandidateKind =
  | 'snapshot'
  | 'l1-table'
  | 'snapshot-table'
  | 'l2-table'
  | 'refcount-table'
  | 'refcount-block'
  | 'vm-state'
  | 'vm-state-end'
  | 'header';

/** Why a candidate counts as it does, by stable codes. */
export type ReasonCode =
  | 'entry-parses'
  | 'entry-repeated'
  | 'entry-listed'
  | 'l1-reused'
  | 'l1-empty'
  | 'l1-leads-to-tables'
  | 'tables-reused'
  | 'data-kept'
  | 'data-shared'
  | 'data-doubtful'
  | 'data-reused'
  | 'data-empty'
  | 'entries-wrong'
  | 'few-entries'
  | 'in-order'
  | 'maps-vm-state'
  | 'agrees-with-refcounts'
  | 'leads-to-refcounts'
  | 'stream-head'
  | 'description'
  | 'header-fields'
  | 'not-all-looked-at';

/** One reason: of `all` that were looked at, `found` agree. */
export interface Reason {
  readonly code: ReasonCode;
  readonly found: number;
  readonly all: number;
}

/** How many clusters that a disk names met which fate. */
export type FateCounts = Readonly<Record<Exclude<Fate, 'none'>, number>>;

/** Something that was left in the file and may be more than chance. */
export interface Candidate {
  /** From 1, by which it is asked for: the same for the same bytes of the file. */
  readonly number: number;
  readonly kind: CandidateKind;
  /** Byte offset in the file: of an entry, or of the first cluster. */
  readonly at: number;
  readonly bytes: number;
  /** `slack`: in the last cluster of a table that is in use, behind its end. */
  readonly where: Whereabouts | 'slack';
  /** From 0 to 100. */
  readonly plausibility: number;
  readonly reasons: readonly Reason[];
  /** Of a `snapshot`: its entry as it was. */
  readonly snapshot: Snapshot | undefined;
  /** Of a disk: its L1 table. */
  readonly l1: L1Ref | undefined;
  /**
   * Of a `snapshot`: host offsets of the L1 tables of snapshots that the image still has, and that were there together with
   * it. What they have in common with it nobody wrote to.
   */
  readonly beside: readonly number[];
  /** Of a disk, and of a single table: what became of the clusters that it names. */
  readonly fates: FateCounts | undefined;
  /** Of a `vm-state`: the type of the machine that it was saved from. */
  readonly machine: string | undefined;
  /** Of a `header`: what it says. */
  readonly header: FoundHeader | undefined;
}

/** What a header that was found says, as it is stored. */
export interface FoundHeader {
  readonly version: number;
  readonly clusterBytes: number;
  readonly diskSizeBytes: number;
}

/** What a candidate has no more of than its place. */
export const NO_DETAILS = {
  snapshot: undefined,
  l1: undefined,
  beside: [] as readonly number[],
  fates: undefined,
  machine: undefined,
  header: undefined,
};

/** A candidate before all are put in order. */
export type Unnumbered = Omit<Candidate, 'number'>;

/**
 * Whether a candidate is a disk, which can be recovered.
 *
 * ```ts
 * const { candidates } = await scanImage(device);
 * for (const { number, snapshot } of candidates.filter(isDiskCandidate)) console.log(number, snapshot?.name);
 * ```
 */
export function isDiskCandidate({ kind }: Pick<Candidate, 'kind'>): boolean {
  return kind === 'snapshot' || kind === 'l1-table';
}
