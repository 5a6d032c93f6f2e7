import { HIGH_WORD } from '../../base/words.js';
import { COPIED, ZERO_FLAG } from '../../l1l2/entry.js';
import { compressedEntry } from '../new/packing.js';
import type { CompactTarget } from './compact-target.js';
import type { NewCluster } from './regrid.js';

/** Where a cluster of the new image lies. */
export interface NewPlace {
  /** 0: nowhere. */
  readonly at: number;
  /** Bytes that it was compressed to; 0: it was not. */
  readonly packedBytes: number;
  readonly isZero: boolean;
  /** Whether the active disk has it alone. */
  readonly isOnly: boolean;
}

/**
 * Sets the entry of a cluster in a new L2 table.
 *
 * @param words of the table, in host order.
 * Spec: L2 table entry, Extended L2 Entries.
 */
export function setNewEntry(
  words: Uint32Array,
  cluster: NewCluster,
  { at, packedBytes, isZero, isOnly }: NewPlace,
  { geometry, zerosUnallocated }: CompactTarget,
): void {
  const { clusterBits, clusterBytes, l2EntryBytes } = geometry;
  const word = (cluster.entry * l2EntryBytes) / 4;
  const isExtended = l2EntryBytes === 16;
  if (packedBytes > 0) {
    words.set(compressedEntry(at, packedBytes, clusterBits), word);
    return;
  }
  const { zeros, allocated } = bitsOf(cluster, clusterBytes / 32);
  if (isZero) {
    if (isExtended) words[word + 2] = zerosUnallocated ? 0 : (zeros | allocated) >>> 0;
    else words[word + 1] = zerosUnallocated ? 0 : ZERO_FLAG;
    return;
  }
  words[word] = ((isOnly ? COPIED : 0) | Math.floor(at / HIGH_WORD)) >>> 0;
  words[word + 1] = at >>> 0;
  if (isExtended) words.set([zeros, allocated], word + 2);
}

/** What becomes of subclusters, a bit each. */
interface Bits {
  readonly zeros: number;
  readonly allocated: number;
}

/** What the subclusters of a cluster are: of one with any data all are allocated that have some. */
function bitsOf({ pieces }: NewCluster, subclusterBytes: number): Bits {
  let [zeros, allocated, at] = [0, 0, 0];
  for (const { kind, length } of pieces) {
    const first = Math.floor(at / subclusterBytes);
    at += length;
    for (let sub = first; sub < at / subclusterBytes; sub++) {
      if (kind === 'zero') zeros |= 1 << sub;
      else if (kind !== 'none') allocated |= 1 << sub;
    }
  }
  return { zeros: (zeros & ~allocated) >>> 0, allocated: allocated >>> 0 };
}
