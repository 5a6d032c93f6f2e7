import type { BlockSource } from '../../io/device.js';
import { walkStoredTables, readTable } from '../../refs/tables.js';
import { bytesOf } from '../../base/words.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { offsetOf } from '../../l1l2/entry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { decodeRefcounts } from '../../refcount/block.js';
import type { StoredPointers } from './head.js';

/** No refcount is stored for the cluster, or none that can be believed. */
const UNKNOWN = 0xff;
/** Higher refcounts count as this. */
const HIGHEST = 0xfe;
/** Refcounts above this are what something else than refcounts looks like. */
const BELIEVED_MAX = 4096;

/** The refcounts that a damaged image stores: a hint, and no more. */
export interface RefcountHints {
  /** Whether any can be read. */
  readonly isKnown: boolean;
  /** The refcount of a cluster, 254 for all that are higher; undefined where none can be read. */
  of(cluster: number): number | undefined;
  /**
   * The clusters in use end here, as far as the refcounts tell: behind the end of a file that was cut off. Where they
   * tell nothing, the most that an image has.
   */
  readonly endInUse: number;
  /** Clusters that the refcount table and those of its blocks lie in that can be read. */
  readonly owned: ReadonlySet<number>;
}

/** Nothing is known of any refcount. */
export const NO_REFCOUNTS: RefcountHints = {
  isKnown: false,
  of: () => undefined,
  endInUse: LIMITS.hostClustersMax.value,
  owned: new Set(),
};

/** Reads what refcounts can be read, by where the header says that their table lies. */
export async function readRefcountHints(
  source: BlockSource,
  pointers: StoredPointers | undefined,
  format: TableFormat,
  fileSizeBytes: number,
): Promise<RefcountHints> {
  const { geometry, fileClusters } = format;
  const { clusterBytes, refcountBits, refcountBlockEntries } = geometry;
  if (pointers === undefined || pointers.isDirty) return NO_REFCOUNTS;
  const { refcountTableAt: at, refcountTableClusters: clusters } = pointers;
  const isTable = at >= clusterBytes && at < fileSizeBytes && at % clusterBytes === 0;
  const bytes = Math.min(clusters * clusterBytes, LIMITS.refcountTableBytesMax.value);
  if (!isTable || bytes === 0) return NO_REFCOUNTS;
  const table = await readTable(source, at, Math.min(bytes, fileSizeBytes - at) >> 3);
  const blocks: number[] = [];
  const offsets: number[] = [];
  const seen = new Set<number>();
  let endInUse = 0;
  for (let i = 0; i * 2 < table.length; i++) {
    const offset = offsetOf(table[2 * i]!, table[2 * i + 1]!);
    // Behind the end of the file the table may be longer than it should be.
    if (offset === 0 && i * refcountBlockEntries >= fileClusters) break;
    // Of a block that was cut off nobody knows which clusters it had in use.
    if (offset >= fileSizeBytes) endInUse = (i + 1) * refcountBlockEntries;
    if (offset === 0 || offset % clusterBytes !== 0 || offset >= fileSizeBytes) continue;
    if (seen.has(offset)) continue;
    seen.add(offset);
    blocks.push(i);
    offsets.push(offset);
  }
  const hints = new Uint8Array(fileClusters).fill(UNKNOWN);
  const counts = new Uint32Array(refcountBlockEntries);
  const owned = new Set<number>();
  await walkStoredTables(source, Float64Array.from(offsets), clusterBytes, (index, words) => {
    decodeRefcounts(bytesOf(words), refcountBits, counts);
    if (!isBelieved(counts)) return;
    owned.add(offsets[index]! / clusterBytes);
    const first = blocks[index]! * refcountBlockEntries;
    endInUse = Math.max(endInUse, first + counts.findLastIndex((count) => count > 0) + 1);
    const end = Math.min(first + refcountBlockEntries, fileClusters);
    for (let cluster = first; cluster < end; cluster++) {
      hints[cluster] = Math.min(counts[cluster - first]!, HIGHEST);
    }
  });
  // A pointer to something else leads to no blocks: then nothing there is the image's own.
  if (owned.size === 0) return NO_REFCOUNTS;
  for (let i = 0; i < clustersOfTable(table, format); i++) owned.add(at / clusterBytes + i);
  const of = (cluster: number): number | undefined => {
    const hint = hints[cluster] ?? UNKNOWN;
    return hint === UNKNOWN ? undefined : hint;
  };
  return { isKnown: true, of, endInUse, owned };
}

/**
 * How many clusters of the refcount table are believed: as many as the file needs, and behind them the ones that are
 * empty. The header may claim too many, and they may hold something else.
 *
 * @param table as many words as the header claims, and the file has.
 */
function clustersOfTable(table: Uint32Array, { geometry, fileClusters }: TableFormat): number {
  const { clusterBytes, refcountBlockEntries } = geometry;
  const needed = Math.ceil(fileClusters / refcountBlockEntries) * 2;
  const rest = table.subarray(needed).findIndex((word) => word !== 0);
  const words = rest === -1 ? table.length : needed + rest;
  const neededClusters = Math.ceil((needed * 4) / clusterBytes);
  return Math.max(neededClusters, Math.floor((words * 4) / clusterBytes));
}

/** Whether a cluster may hold refcounts. One of zeros does not: then no cluster of its range would be in use. */
function isBelieved(counts: Uint32Array): boolean {
  let [used, odd] = [0, 0];
  for (const count of counts) {
    if (count !== 0) used += 1;
    if (count > BELIEVED_MAX) odd += 1;
  }
  return used > 0 && odd * 16 <= used;
}
