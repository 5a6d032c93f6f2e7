import type { ProposedRepair } from '../edit/repair/propose.js';
import type { ExecuteReport } from '../edit/tx/execute.js';
import type { FindingCode } from '../read/check/catalog.js';
import type { CheckReport } from '../read/check/report.js';

/** How many findings of one code a repair mended. */
export interface MendedFindings {
  readonly code: FindingCode;
  readonly count: number;
}

/** What a repair did. */
export interface DoneRepair
  extends
    Pick<ProposedRepair, 'choice' | 'before' | 'facts' | 'givenUp'>,
    Pick<ExecuteReport, 'punchedBytes' | 'fileSizeBytes'> {
  readonly operation: 'repair';
  /** False where nothing of what was chosen needed a repair: then nothing was written. */
  readonly isWritten: boolean;
  /**
   * What a check of the image finds now: what is left is in its `findings`. Foretold, and not looked for, where a
   * signal came when the repair was done.
   */
  readonly after: CheckReport;
  /** What the check before found more of than the one after, by code; places may have moved. */
  readonly mended: readonly MendedFindings[];
}

/** @param report undefined where nothing was written. */
export function doneRepairOf(
  { choice, before, facts, givenUp }: ProposedRepair,
  after: CheckReport,
  report: ExecuteReport | undefined,
  fileSizeBytes: number,
): DoneRepair {
  return {
    operation: 'repair',
    isWritten: report !== undefined,
    ...{ choice, before, after, facts, givenUp },
    mended: mendedOf(before, after),
    ...(report ?? { punchedBytes: 0, fileSizeBytes }),
  };
}

function mendedOf(before: CheckReport, after: CheckReport): readonly MendedFindings[] {
  const now = countsOf(after);
  return [...countsOf(before)]
    .map(([code, count]) => ({ code, count: count - (now.get(code) ?? 0) }))
    .filter(({ count }) => count > 0);
}

/** All findings by code, those that are not kept too. */
function countsOf({ findings, codesLeftOut }: CheckReport): ReadonlyMap<FindingCode, number> {
  const counts = new Map<FindingCode, number>();
  const add = (code: FindingCode, count: number): void => {
    counts.set(code, (counts.get(code) ?? 0) + count);
  };
  for (const { code } of findings) add(code, 1);
  for (const { code, count } of codesLeftOut) add(code, count);
  return counts;
}
