import type { Candidate, RecoveredState } from '../../../index.js';

/** What came of a candidate. */
export interface Recovered {
  readonly path: string;
  readonly candidate: Candidate;
  readonly diskSizeBytes: number;
  readonly output: string;
  /** The output is a copy of the image, with the disk as a snapshot. */
  readonly isCopy: boolean;
  readonly fileSizeBytes: number;
  /** Guest bytes by what they are, VM state included where it comes back. */
  readonly bytes: Readonly<Record<RecoveredState, number>>;
  /** Guest bytes that are the candidate's, and could not be read. */
  readonly unreadableBytes: number;
  readonly map: string | undefined;
}
