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

/**
 * Whether the file lacks what the image refers to: the refcounts count clusters past its end, or the active L1 table or
 * the refcount table lies there, in part or whole.
 */
export function isCutOff({ basis, fileSizeBytes, pastEndBytes }: ScanReport): boolean {
  const header = basis.ground.image?.header;
  if (header === undefined) return false;
  const { activeL1, refcountTable } = header;
  const ends = [activeL1.at + activeL1.entries * 8, refcountTable.at + 8];
  return pastEndBytes > 0 || Math.max(...ends) > fileSizeBytes;
}
