import { ACTIVE_DISK } from './disk-sets.js';
import { countPointers, type Pointers } from './pointers.js';

/**
 * How many L1 entries point at each L2 table. The active disk's are counted apart, since COPIED flags mean something
 * only in its tables.
 */
export interface DiskTally {
  /** Host offsets of all L2 tables, ascending. */
  readonly offsets: Float64Array;
  /** Pointers from the active L1. */
  readonly active: Uint32Array;
  /** Pointers from the L1 tables of snapshots. */
  readonly inactive: Uint32Array;
}

/** Counts the pointers of the active disk and of all snapshots. */
export function diskTallyOf(pointers: Pointers): DiskTally {
  return {
    offsets: pointers.offsets,
    active: countPointers(pointers, (disk) => disk === ACTIVE_DISK),
    inactive: countPointers(pointers, (disk) => disk !== ACTIVE_DISK),
  };
}
