import { HIGH_WORD } from '../base/words.js';
import { OFFSET_HIGH } from './entry.js';

/** Offsets have 56 bits. Spec: L1 table entry, L2 table entry. */
const OFFSET_BITS = 56;

/**
 * The places that differ from `offset` by one bit and where a cluster of the file begins: what a pointer
 * with a flipped bit may have been. Ascending; never the header's cluster, nor `offset` itself.
 *
 * @param offset below 2^56; an offset off a cluster's start has one such place at most, since all bits
 *   below the cluster size have to be clear.
 */
export function oneBitNeighbours(
  offset: number,
  clusterBytes: number,
  fileBytes: number,
): readonly number[] {
  const neighbours: number[] = [];
  for (let bit = 9; bit < OFFSET_BITS; bit++) {
    const neighbour = withBitFlipped(offset, bit);
    const isPlace = neighbour >= clusterBytes && neighbour < fileBytes;
    if (isPlace && neighbour % clusterBytes === 0) neighbours.push(neighbour);
  }
  return neighbours.sort((a, b) => a - b);
}

/** Halves, since the bit operators of the language take 32 bits. */
function withBitFlipped(offset: number, bit: number): number {
  const high = Math.floor(offset / HIGH_WORD) & OFFSET_HIGH;
  const low = (offset % HIGH_WORD) >>> 0;
  if (bit >= 32) return (high ^ (1 << (bit - 32))) * HIGH_WORD + low;
  return high * HIGH_WORD + ((low ^ (1 << bit)) >>> 0);
}
