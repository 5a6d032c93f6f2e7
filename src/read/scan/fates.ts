import { COMPRESSED, COPIED, offsetOf, packedClusters } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { isSoundL2 } from './table-contents.js';

/**
 * What became of the cluster that an entry of an old L2 table names.
 *
 * - `none`: the entry names no cluster;
 * - `kept`: nothing refers to the cluster now, and it is not zeros: what it holds is most likely what it held;
 * - `held`: a snapshot that was there together with the old table has it at the same place of its disk, so that nobody wrote
 *   to it;
 * - `shared`: another disk has it at the same place: it holds what it held, or what was written there since;
 * - `doubtful`: nothing refers to it, but the refcounts call it used, or it looks like a table of the image: who had it last
 *   is not known;
 * - `reused`: the image uses it for something else now;
 * - `empty`: it reads as zeros: they were its content, or it was given back to the host;
 * - `wrong`: the entry can't be right.
 */
export const FATES = [
  'none',
  'kept',
  'held',
  'shared',
  'doubtful',
  'reused',
  'empty',
  'wrong',
] as const;

/** One of `FATES`. */
export type Fate = (typeof FATES)[number];

/** Index of a fate in `FATES`. */
export const FATE = Object.fromEntries(FATES.map((fate, i) => [fate, i])) as Record<Fate, number>;

/** What fates are told by. */
export interface FateGround {
  readonly scan: Scan;
  /** Clusters that the image refers to now. */
  readonly claimed: ClusterSet;
  /** Clusters that the refcounts call used. */
  readonly counted: ClusterSet;
  /** Clusters that nothing refers to, and that read as zeros. */
  readonly isZero: ClusterSet;
  /** Clusters that nothing refers to, and that look like tables. */
  readonly isTable: ClusterSet;
}

/** L2 tables for the same part of the disk that the image uses now, in host order. */
export interface TablesBeside {
  /** Of snapshots that were there together with the old table. */
  readonly together: readonly Uint32Array[];
  readonly others: readonly Uint32Array[];
}

/**
 * Tells what became of each cluster that an old L2 table names.
 *
 * @param words the old table in host order.
 * @returns by entry, an index in `FATES`.
 */
export function fatesOf(words: Uint32Array, beside: TablesBeside, ground: FateGround): Uint8Array {
  const { stride } = ground.scan;
  const fates = new Uint8Array(words.length / stride);
  for (let i = 0, entry = 0; i < words.length; i += stride, entry += 1) {
    if ((words[i]! | words[i + 1]!) === 0) continue;
    fates[entry] = fateOf(words, i, beside, ground);
  }
  return fates;
}

function fateOf(
  words: Uint32Array,
  i: number,
  { together, others }: TablesBeside,
  { scan, claimed, counted, isZero, isTable }: FateGround,
): number {
  if (!isSoundL2(words, i, scan)) return FATE.wrong;
  const clusters = clustersOf(words[i]!, words[i + 1]!, scan);
  if (clusters === undefined) return FATE.none;
  const [first, last] = clusters;
  const lies = (other: Uint32Array): boolean => namesTheSame(words, other, i);
  let zeros = 0;
  let isDoubtful = false;
  for (let cluster = first; cluster <= last; cluster += 1) {
    if (claimed.has(cluster)) {
      if (together.some(lies)) return FATE.held;
      return others.some(lies) ? FATE.shared : FATE.reused;
    }
    if (isZero.has(cluster)) zeros += 1;
    isDoubtful ||= counted.has(cluster) || isTable.has(cluster);
  }
  if (isDoubtful) return FATE.doubtful;
  return zeros === last - first + 1 ? FATE.empty : FATE.kept;
}

function clustersOf(
  high: number,
  low: number,
  { clusterBits, format }: Scan,
): readonly [first: number, last: number] | undefined {
  if ((high & COMPRESSED) !== 0) {
    const { first, last } = packedClusters(high, low, clusterBits);
    return [first, last];
  }
  const at = offsetOf(high, low);
  if (at === 0) return undefined;
  const cluster = at / format.geometry.clusterBytes;
  return [cluster, cluster];
}

/** Whether two tables name the same place by the entry at word `i`, whatever else they say of it. */
function namesTheSame(a: Uint32Array, b: Uint32Array, i: number): boolean {
  const [high, low] = [a[i]!, a[i + 1]!];
  if ((high & COMPRESSED) !== 0) return b[i] === high && b[i + 1] === low;
  const isPlain = (b[i]! & COMPRESSED) === 0;
  return isPlain && ((high ^ b[i]!) & ~COPIED) === 0 && (low ^ b[i + 1]!) >>> 9 === 0;
}
