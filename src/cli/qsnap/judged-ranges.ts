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
 * Tells of each range of a candidate's disk what became of it. The map has VM state, too.
 *
 * @param isCopy whether VM state is written, and so counts.
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
  const { diskSizeBytes } = snapshot;
  for await (const whole of recoveredRanges(report.basis, snapshot, candidate.beside)) {
    for (const range of partsOf(whole, diskSizeBytes)) {
      await map?.add(rangeJson(range));
      if (!isCopy && range.start >= diskSizeBytes) continue;
      bytes[range.state] += range.length;
      if (range.state === 'reused') reused.push(range);
    }
  }
  return { bytes, reused };
}

/** A range of the disk, and one of VM state behind it; nothing behind the disk is no part of it. */
function partsOf(range: RecoveredRange, diskSizeBytes: number): readonly RecoveredRange[] {
  const end = range.start + range.length;
  const behind = Math.max(range.start, diskSizeBytes);
  return [
    { ...range, length: Math.min(end, diskSizeBytes) - range.start },
    ...(range.state === 'none' ? [] : [{ ...range, start: behind, length: end - behind }]),
  ].filter(({ length }) => length > 0);
}
