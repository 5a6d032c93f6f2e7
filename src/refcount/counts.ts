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
}

export function newCounts(clusters: number, geometry: Geometry): Counts {
  return {
    values: geometry.refcountBits <= 16 ? new Uint16Array(clusters) : new Uint32Array(clusters),
    max: geometry.refcountMax,
    blockShift: Math.log2(geometry.refcountBlockEntries),
  };
}
