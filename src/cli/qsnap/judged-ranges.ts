import {
  imageWithCandidate,
  recoveredRanges,
  type Candidate,
  type RecoveredRange,
  type RecoveredState,
  type ScanReport,
} from '../../index.js';
import type { LinesFile } from './lines-file.js';
import { rangeJson } from './present/recover-json.js';

/** What is known of the ranges of a candidate's disk. */
export interface JudgedRanges {
  readonly bytes: Readonly<Record<RecoveredState, number>>;
  readonly reused: readonly RecoveredRange[];
}

/**
 * Tells of each range of a candidate's disk what became of it.
 *
 * @param isCopy whether VM state is written, too.
 */
export async function judged(
  report: ScanReport,
  candidate: Candidate,
  isCopy: boolean,
  map: LinesFile | undefined,
): Promise<JudgedRanges> {
  const { snapshot } = imageWithCandidate(report.basis, candidate);
  const bytes = { candidate: 0, unknown: 0, reused: 0, none: 0 };
  const reused: RecoveredRange[] = [];
  for await (const whole of recoveredRanges(report.basis, snapshot, candidate.beside)) {
    for (const range of writtenOf(whole, snapshot.diskSizeBytes, isCopy)) {
      bytes[range.state] += range.length;
      if (range.state === 'reused') reused.push(range);
      await map?.add(rangeJson(range));
    }
  }
  return { bytes, reused };
}

/** The parts of a range that are written: of the disk, and in a copy what there is of VM state behind it. */
function writtenOf(
  range: RecoveredRange,
  diskSizeBytes: number,
  isCopy: boolean,
): readonly RecoveredRange[] {
  const end = range.start + range.length;
  const from = Math.max(range.start, diskSizeBytes);
  return [
    { ...range, length: Math.min(end, diskSizeBytes) - range.start },
    ...(isCopy && range.state !== 'none' ? [{ ...range, start: from, length: end - from }] : []),
  ].filter(({ length }) => length > 0);
}
