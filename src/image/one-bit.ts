import { counted } from '../base/text.js';
import { hex, HIGH_WORD } from '../base/words.js';
import { OFFSET_HIGH } from '../l1l2/entry.js';

/** Offsets have 56 bits. Spec: L1 table entry, L2 table entry. */
const OFFSET_BITS = 56;
const OFFSET_END = 2n ** BigInt(OFFSET_BITS);

/**
 * The starts of clusters that differ from `stored` by one bit: the places that a pointer may have named before one of
 * its bits flipped. Ascending; never the header's cluster, nor `stored` itself.
 *
 * @param stored an offset, or a field of 64 bits that holds one. If it is no cluster's start there is one such place at
 *   most, since only clearing the one bit below the cluster size makes it one.
 */
export function oneBitNeighbours(
  stored: number | bigint,
  clusterBytes: number,
  fileBytes: number,
): readonly number[] {
  const isPlace = (at: number): boolean =>
    at >= clusterBytes && at < fileBytes && at % clusterBytes === 0;
  if (stored >= OFFSET_END) {
    // With a bit above those of offsets only that one can be wrong.
    const high = BigInt(stored) / OFFSET_END;
    const place = Number(BigInt(stored) % OFFSET_END);
    return (high & (high - 1n)) === 0n && isPlace(place) ? [place] : [];
  }
  const neighbours: number[] = [];
  for (let bit = 9; bit < OFFSET_BITS; bit++) {
    const neighbour = withBitFlipped(Number(stored), bit);
    if (isPlace(neighbour)) neighbours.push(neighbour);
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

/** A place that a pointer may have named before a bit of it flipped. */
export interface Neighbour {
  readonly at: number;
  /** Entries of a table there that name a place; undefined where guest data is to be, which nothing tells. */
  readonly entries: number | undefined;
}

/** What is wrong with a pointer, and what it may have been: one sentence without a full stop. */
export function neighbourText(
  stored: number | bigint,
  { at, entries }: Neighbour,
  clusterBytes: number,
  fileBytes: number,
): string {
  const isBoundary = BigInt(stored) % BigInt(clusterBytes) === 0n;
  const reach = stored < fileBytes ? 'can not be right' : 'is past the end';
  const problem = isBoundary ? reach : 'is no cluster boundary';
  const what =
    entries === undefined
      ? 'nothing refers to it'
      : `holds a table with ${counted(entries, 'sound entry', 'sound entries')}`;
  return `offset ${hex(stored)} ${problem}; ${hex(at)} differs by one bit and ${what}`;
}
