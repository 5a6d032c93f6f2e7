import type { OpenImage } from '../../image/image.js';
import { readTable } from '../../refs/tables.js';
import { offsetOf } from '../../l1l2/entry.js';

/** The L2 table in which the disk ends, before or after a resize, when the end lies inside it. */
export interface LastTable {
  readonly l1Index: number;
  /** Its entries as host-order words; all 0 where no table is. */
  readonly words: Uint32Array;
}

/** Reads the L2 table that maps the end of a disk of `sizeBytes`. */
export async function readLastTable(
  image: OpenImage,
  activeL1: Uint32Array,
  sizeBytes: number,
): Promise<LastTable> {
  const { l2CoverageBytes, clusterBytes } = image.geometry;
  const l1Index = Math.floor(sizeBytes / l2CoverageBytes);
  // A disk that ends where a table ends has nothing of the next one.
  const isInside = sizeBytes % l2CoverageBytes !== 0;
  const at = isInside ? offsetOf(activeL1[2 * l1Index]!, activeL1[2 * l1Index + 1]!) : 0;
  const entries = clusterBytes / 8;
  const words =
    at === 0 ? new Uint32Array(entries * 2) : await readTable(image.source, at, entries);
  return { l1Index, words };
}
