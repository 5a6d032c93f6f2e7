import { walkTables } from '../../refs/tables.js';
import { addReferences, NO_PROBLEM } from '../../l1l2/scan.js';
import { indexOfOffset } from '../../refs/pointers.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import type { Evidence } from './evidence.js';
import type { Root } from './root.js';
import { isSoundL2, contentsAsL2 } from '../../read/scan/table-contents.js';

/** What the L2 tables of some roots hold, by their place. */
export interface WeighedTables {
  /** Host offsets, ascending, each once. */
  readonly offsets: Float64Array;
  /** How many L1 entries lead to the table. */
  readonly pointers: Uint32Array;
  /** Guest clusters that have a place in the file. */
  readonly mapped: Uint32Array;
  /** Entries that can't be right. */
  readonly flawed: Uint32Array;
  /** Entries whose cluster the end of the file cuts: its rest reads as zeros. */
  readonly cutOff: Uint32Array;
  /** Index of the last entry that says something; 0 where none does. */
  readonly lastEntry: Uint32Array;
  /** Whether the table holds nothing but zeros. */
  readonly isZero: Uint8Array;
  /** Index of the first entry of the first sector of the table that has none in use; `NO_EMPTY_SECTOR`. */
  readonly emptyFrom: Uint32Array;
  /** References of all entries, and of the L1 tables to the L2 tables. */
  readonly counts: Counts;
}

/** Every sector of a table has an entry in use. */
const NO_EMPTY_SECTOR = 2 ** 32 - 1;
/** A sector: a medium writes it, or loses it, as a whole. */
const SECTOR_WORDS = 512 / 4;

/**
 * Reads the L2 tables of the roots, each once.
 *
 * @param metadata clusters in which no guest data can lie: what leads there is flawed.
 */
export async function weighTables(
  roots: readonly Root[],
  metadata: ClusterSet,
  evidence: Evidence,
): Promise<WeighedTables> {
  const { source, scan, format } = evidence;
  const { clusterBytes } = format.geometry;
  const { offsets, pointers } = tablesOf(roots);
  const mapped = new Uint32Array(offsets.length);
  const flawed = new Uint32Array(offsets.length);
  const isZero = new Uint8Array(offsets.length);
  const lastEntry = new Uint32Array(offsets.length);
  const emptyFrom = new Uint32Array(offsets.length);
  const cutOff = new Uint32Array(offsets.length);
  const counts = newCounts(format.fileClusters + 1, format.geometry, REFCOUNT_CAP);
  await walkTables(source, offsets, clusterBytes, (index, words) => {
    const contents = contentsAsL2(words, scan);
    const weight = pointers[index]!;
    counts.change(offsets[index]! / clusterBytes, weight);
    mapped[index] = contents.pointers;
    const lastWord = words.findLastIndex((word) => word !== 0);
    isZero[index] = lastWord === -1 ? 1 : 0;
    lastEntry[index] = Math.floor(Math.max(0, lastWord) / scan.stride);
    emptyFrom[index] = firstEmptySector(words, scan.stride);
    const cut = entriesPastEnd(offsets[index]!, evidence);
    flawed[index] = contents.flawed + cut + withoutFlaws(words, metadata, evidence);
    cutOff[index] = entriesCutOff(words, evidence);
    for (let from = 0; ;) {
      const stop = addReferences(words, scan, weight, counts, from);
      if (stop === NO_PROBLEM) break;
      from = stop + 1;
    }
  });
  return { offsets, pointers, mapped, flawed, isZero, emptyFrom, lastEntry, cutOff, counts };
}

function firstEmptySector(words: Uint32Array, stride: number): number {
  for (let from = 0; from < words.length; from += SECTOR_WORDS) {
    let i = from;
    while (i < from + SECTOR_WORDS && words[i] === 0) i += 1;
    if (i === from + SECTOR_WORDS) return from / stride;
  }
  return NO_EMPTY_SECTOR;
}

/** Clears entries that lead into metadata. Returns how many there were that are sound but for that. */
function withoutFlaws(words: Uint32Array, metadata: ClusterSet, { scan }: Evidence): number {
  let found = 0;
  for (let i = 0; i < words.length; i += scan.stride) {
    if ((words[i]! | words[i + 1]!) === 0 || !isSoundL2(words, i, scan)) continue;
    const cluster = clusterOfEntry(words[i]!, words[i + 1]!, scan);
    if (cluster === undefined || !metadata.has(cluster)) continue;
    words[i] = 0;
    words[i + 1] = 0;
    found += 1;
  }
  return found;
}

/**
 * Counts the entries whose data the end of the file cuts: they name its last cluster, and the file ends inside it.
 * Compressed entries don't count, since their data may end anywhere; nor do entries whose missing subclusters were
 * never written.
 */
function entriesCutOff(words: Uint32Array, { scan, format, fileSizeBytes }: Evidence): number {
  const { clusterBytes } = format.geometry;
  const present = fileSizeBytes % clusterBytes;
  if (present === 0) return 0;
  const wholeSubclusters = Math.floor((present * 32) / clusterBytes);
  let found = 0;
  for (let i = 0; i < words.length; i += scan.stride) {
    const cluster = clusterOfEntry(words[i]!, words[i + 1]!, scan);
    if (cluster !== format.fileClusters - 1) continue;
    const allocated = scan.stride === 4 ? words[i + 3]! : 0xffff_ffff;
    if (allocated >>> wholeSubclusters !== 0) found += 1;
  }
  return found;
}

/** Entries of a table that lie past the end of the file. */
export function entriesPastEnd(at: number, { fileSizeBytes, format }: Evidence): number {
  const { clusterBytes, l2EntryBytes } = format.geometry;
  return Math.ceil(Math.max(0, at + clusterBytes - fileSizeBytes) / l2EntryBytes);
}

/** The cluster that a sound entry names; undefined for a compressed one, or one that names none. */
export function clusterOfEntry(
  high: number,
  low: number,
  { highScale, clusterBits }: Evidence['scan'],
): number | undefined {
  if ((high & 0x4000_0000) !== 0) return undefined;
  const cluster = (high & 0x00ff_ffff) * highScale + (low >>> clusterBits);
  return cluster === 0 ? undefined : cluster;
}

function tablesOf(roots: readonly Root[]): { offsets: Float64Array; pointers: Uint32Array } {
  const counts = new Map<number, number>();
  for (const { tables } of roots) {
    for (const at of tables) if (at > 0) counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  const offsets = Float64Array.from(counts.keys()).sort();
  return { offsets, pointers: Uint32Array.from(offsets, (at) => counts.get(at)!) };
}

/** Index of a table among the weighed ones; -1 where it is none of them. */
export function indexOfTable(at: number, { offsets }: WeighedTables): number {
  const index = offsets.length === 0 ? -1 : indexOfOffset(offsets, at);
  return offsets[index] === at ? index : -1;
}

/** Whether a table is none: nothing in it is an entry. */
export function isUnreadable(index: number, { mapped, flawed, isZero }: WeighedTables): boolean {
  return isZero[index] === 0 && mapped[index] === 0 && flawed[index]! > 0;
}
