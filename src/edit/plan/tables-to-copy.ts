import { walkStoredTables } from '../../refs/tables.js';
import { newRuns } from '../../l1l2/runs.js';
import { anyStoredCopiedWrong } from '../../l1l2/stored-scan.js';
import type { AuditedEdit } from './audit.js';
import { refcountOverflow } from './ledger.js';

/**
 * Moves the refcounts of guest data to the new state.
 *
 * @throws QsnapError REFCOUNT_OVERFLOW.
 */
export function moveDataRefcounts({ image, moves, counts }: AuditedEdit): void {
  const full = moves.moveCounts(counts);
  if (full === undefined) return;
  const { clusterBytes, refcountBits } = image.geometry;
  throw refcountOverflow(full * clusterBytes, refcountBits);
}

/**
 * Indexes in the tally of L2 tables that need a new copy because a COPIED flag in them is to
 * change. A table that two L1s point at has no flag set; one that only the active L1 points at has
 * them by the refcounts. Tables that only one inactive L1 points at keep theirs: flags of inactive
 * tables mean nothing. Spec: L2 table entry, bit 63.
 *
 * @param moved whether refcounts of guest data have changed.
 */
export async function tablesToCopy(
  { image, tally, moves, hasCopied, scan, flagsWrong, counts }: AuditedEdit,
  moved: boolean,
): Promise<readonly number[]> {
  const { offsets, kept, written } = tally;
  const copied: number[] = [];
  const unsure: number[] = [];
  const flags = moved || flagsWrong ? moves.flags(counts) : undefined;
  for (let index = 0; index < offsets.length; index++) {
    if (moves.isAlone(index)) {
      const known = flags?.(index);
      if (known === 'wrong') copied.push(index);
      if (known === 'unsure') unsure.push(index);
    } else if (written[index]! > 0 && kept[index]! + written[index]! > 1) {
      if (hasCopied[index] === 1) copied.push(index);
    }
  }
  const at = Float64Array.from(unsure, (index) => offsets[index]!);
  const runs = newRuns(scan);
  await walkStoredTables(image.source, at, image.geometry.clusterBytes, (i, words) => {
    if (anyStoredCopiedWrong(words, scan, counts, runs)) copied.push(unsure[i]!);
  });
  return copied.sort((a, b) => a - b);
}
