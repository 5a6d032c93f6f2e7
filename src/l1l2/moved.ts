import { HIGH_WORD } from '../base/words.js';
import {
  COMPRESSED,
  compressedOffsetHighBits,
  OFFSET_HIGH,
  OFFSET_LOW,
  offsetOf,
  packedClusters,
} from './entry.js';
import type { Scan } from './scan.js';

/**
 * Host clusters that lie elsewhere from now on. Packed data keeps its place within a cluster, and what reaches into
 * the next one finds it behind the new place, too.
 *
 * ```
 * before   . . . [ 7 ][ 8 ][ 9 ]     from = 7
 * after    [ 7 ][ 8 ] .  [ 9 ]       to   = 7 → 3, 8 → 4, 9 → 6
 * ```
 */
export interface MovedClusters {
  /** No entry stays that leads to this cluster or one behind it. */
  readonly from: number;
  /** By old cluster: the new one. For packed data the cluster that it begins in, which may lie before `from`. */
  readonly to: ReadonlyMap<number, number>;
}

/** Told of entries that lead to clusters at or behind a limit. */
export interface FarEntries {
  plain(cluster: number): void;
  /** Packed data that begins in `first` and reaches into `last`. */
  packed(first: number, last: number): void;
}

/** Visits the entries of an L2 table in host order that lead to cluster `from` or behind it. */
export function visitFar(words: Uint32Array, scan: Scan, from: number, visitor: FarEntries): void {
  const { stride, clusterBits, highScale } = scan;
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]!;
    if ((high & COMPRESSED) !== 0) {
      const { first, last } = packedClusters(high, words[i + 1]!, clusterBits);
      if (last >= from) visitor.packed(first, last);
      continue;
    }
    const cluster = (high & OFFSET_HIGH) * highScale + (words[i + 1]! >>> clusterBits);
    if (cluster >= from) visitor.plain(cluster);
  }
}

/** Makes every entry of an L2 table in host order lead to where its clusters are now. COPIED flags stay. */
export function moveEntries(words: Uint32Array, scan: Scan, { from, to }: MovedClusters): void {
  const { stride, clusterBits } = scan;
  const clusterBytes = 2 ** clusterBits;
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) !== 0) {
      const { first, last, at } = packedClusters(high, low, clusterBits);
      if (last < from) continue;
      const place = at + (to.get(first)! - first) * clusterBytes;
      const offsetBits = 2 ** compressedOffsetHighBits(clusterBits) - 1;
      words[i] = (high & ~offsetBits) | Math.floor(place / HIGH_WORD);
      words[i + 1] = place % HIGH_WORD;
      continue;
    }
    const cluster = offsetOf(high, low) / clusterBytes;
    if (cluster < from) continue;
    const place = to.get(cluster)! * clusterBytes;
    words[i] = (high & ~OFFSET_HIGH) | Math.floor(place / HIGH_WORD);
    words[i + 1] = ((low & ~OFFSET_LOW) | (place % HIGH_WORD)) >>> 0;
  }
}
