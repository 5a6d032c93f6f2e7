import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';

/** The most entries that an L1 table may have. */
export const L1_ENTRIES_MAX = LIMITS.l1BytesMax.value / 8;

/** Whether a disk can be so large: whether an L1 table can map it. */
export function isSizePossible(diskSizeBytes: number, geometry: Geometry): boolean {
  return l1EntriesFor(diskSizeBytes, geometry) <= L1_ENTRIES_MAX;
}

/** L1 tables of a rescue are kept in memory: as many bytes of them as the file has, and the longest one. */
export class L1Room {
  #bytesLeft: number;

  constructor(fileSizeBytes: number) {
    this.#bytesLeft = fileSizeBytes + L1_ENTRIES_MAX * 8;
  }

  /** Whether there was room for so many entries; it is theirs then. */
  take(entries: number): boolean {
    const bytes = entries * 8;
    if (bytes > this.#bytesLeft) return false;
    this.#bytesLeft -= bytes;
    return true;
  }
}
