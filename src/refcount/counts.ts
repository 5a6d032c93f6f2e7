import type { Geometry } from '../qcow2/geometry.js';

/**
 * A count for every host cluster: 2 bytes each for refcounts of up to 16 bits, 4 for wider ones.
 */
export interface Counts {
  readonly values: Uint16Array | Uint32Array;
  /** The highest count that a refcount of the image can hold. */
  readonly max: number;
  /** `cluster >>> blockShift` is the refcount block that counts the cluster. */
  readonly blockShift: number;
  /** By refcount block: 1 where a count was changed since the marks were cleared. */
  readonly touched: Uint8Array;
}

export function newCounts(clusters: number, geometry: Geometry): Counts {
  return {
    values: geometry.refcountBits <= 16 ? new Uint16Array(clusters) : new Uint32Array(clusters),
    max: geometry.refcountMax,
    blockShift: Math.log2(geometry.refcountBlockEntries),
    touched: new Uint8Array(Math.ceil(clusters / geometry.refcountBlockEntries)),
  };
}

/**
 * Changes one count and marks its block.
 *
 * @returns false, and changes nothing, when the count would leave 0 to `counts.max`.
 */
export function changeCount(counts: Counts, cluster: number, by: number): boolean {
  const count = counts.values[cluster]! + by;
  if (count > counts.max || count < 0) return false;
  counts.values[cluster] = count;
  counts.touched[cluster >>> counts.blockShift] = 1;
  return true;
}
