import { offsetOf } from '../../l1l2/entry.js';
import { ACTIVE_DISK } from '../../refs/disk-sets.js';
import { countPointers, indexOfOffset, type Pointers } from '../../refs/pointers.js';
import type { NextState } from './next-state.js';

/**
 * How many L1 entries point at each L2 table: in the L1 tables before the edit, in those that the edit keeps, and in
 * those that it writes. The refcount of guest data is the number of L1 paths to it, so the walk over the L2 tables
 * needs no more than these numbers.
 */
export interface EditTally {
  /** Host offsets of all L2 tables, ascending. */
  readonly offsets: Float64Array;
  /** Pointers from the L1 tables before the edit. */
  readonly before: Uint32Array;
  /** Those of them that are the active L1's. */
  readonly active: Uint32Array;
  /** Pointers from L1 tables that the edit leaves in place. */
  readonly kept: Uint32Array;
  /** Pointers from L1 tables that the edit writes. */
  readonly written: Uint32Array;
  /** Those of them that are the new active L1's. */
  readonly writtenActive: Uint32Array;
}

/** Counts pointers before and after an edit. The L1 tables of the new state point at no tables but those there are. */
export function editTallyOf(pointers: Pointers, next: NextState): EditTally {
  const { offsets } = pointers;
  const kept = new Set(
    next.snapshots.flatMap(({ l1 }) => (l1.kind === 'kept' ? [l1.index + 1] : [])),
  );
  if (next.activeL1 === undefined) kept.add(ACTIVE_DISK);
  const written = new Uint32Array(offsets.length);
  const add = (words: Uint32Array): void => {
    for (let i = 0; i < words.length; i += 2) {
      const offset = offsetOf(words[i]!, words[i + 1]!);
      if (offset !== 0) written[indexOfOffset(offsets, offset)]! += 1;
    }
  };
  if (next.activeL1 !== undefined) add(next.activeL1);
  const writtenActive = written.slice();
  for (const { l1 } of next.snapshots) if (l1.kind === 'new') add(l1.words);
  return {
    offsets,
    before: countPointers(pointers, () => true),
    active: countPointers(pointers, (disk) => disk === ACTIVE_DISK),
    kept: countPointers(pointers, (disk) => kept.has(disk)),
    written,
    writtenActive,
  };
}
