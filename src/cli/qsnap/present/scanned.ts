import type { Candidate, ScanReport } from '../../../index.js';

/** What a scan prints. */
export interface Scanned {
  readonly path: string;
  readonly report: ScanReport;
  /** As plausible as was asked for. */
  readonly candidates: readonly Candidate[];
  /** The least plausibility. */
  readonly min: number;
  /** Names of the files that were carved, by the number of the candidate; undefined where none were asked for. */
  readonly carved: ReadonlyMap<number, string> | undefined;
}
