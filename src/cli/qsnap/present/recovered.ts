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
  /** Guest bytes that were written by what they are; in a copy, VM state is among them. */
  readonly bytes: Readonly<Record<RecoveredState, number>>;
  /** Guest bytes that are the candidate's, and could not be read. */
  readonly unreadableBytes: number;
  readonly map: string | undefined;
}
