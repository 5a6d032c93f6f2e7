import type { Counts } from '../refcount/counts.js';
import {
  COMPRESSED,
  COPIED,
  compressedExtent,
  hasZeroFlag,
  lastCluster,
  OFFSET_LOW,
  offsetOf,
  type TableFormat,
  ZERO_FLAG,
} from './entry.js';

/**
 * Hot loops over whole L2 tables: (high, low) words in host order, no objects, no BigInt. They
 * notice that an entry is wrong, and which one; `entry.ts` says what is wrong with it.
 */

/** The numbers that the loops need for every entry, worked out once from the format of the tables. */
export interface Scan {
  /** Words from one entry to the next: 2, or 4 with extended L2 entries. */
  readonly stride: number;
  readonly clusterBits: number;
  /** Clusters between two offsets whose high words differ by 1. */
  readonly highScale: number;
  /** Bits of the low word that must be clear in a standard entry: reserved and misaligned ones. */
  readonly lowMustBeClear: number;
  readonly fileClusters: number;
  readonly format: TableFormat;
  /** Whether flags that mean nothing are no problem. */
  readonly lenient: boolean;
}

/**
 * @param lenient whether two flags without a meaning pass: bit 0 where it is no zero flag, and COPIED in an
 *   entry that names no cluster. QEMU lets both pass, too; a check notes them.
 */
export function scanOf(format: TableFormat, lenient = false): Scan {
  const { clusterBits, clusterBytes, l2EntryBytes } = format.geometry;
  const zeroBit = lenient || hasZeroFlag(format) ? ZERO_FLAG : 0;
  return {
    stride: l2EntryBytes / 4,
    clusterBits,
    highScale: 2 ** (32 - clusterBits),
    lowMustBeClear: (clusterBytes - 1) & ~zeroBit,
    fileClusters: format.fileClusters,
    format,
    lenient,
  };
}

/** Is told of a host cluster that an entry names although it was counted before. */
export type Taken = (cluster: number) => void;

/** The result of a loop that found nothing wrong. */
export const NO_PROBLEM = -1;

/**
 * Adds `weight` to the count of every host cluster that the table refers to; a compressed cluster
 * counts once in each host cluster that it touches.
 *
 * @param from index of the entry to begin with.
 * @param taken is told of clusters that were counted before, but for those that compressed entries name.
 * @returns NO_PROBLEM, or the index of the first entry that is wrong or whose count would leave
 *   0 to `counts.max`. Counts of earlier entries are changed by then, those of this entry are not.
 */
export function addReferences(
  words: Uint32Array,
  scan: Scan,
  weight: number,
  counts: Counts,
  from = 0,
  taken?: Taken,
): number {
  const { stride, clusterBits, highScale, lowMustBeClear, fileClusters, lenient } = scan;
  for (let i = from * stride; i < words.length; i += stride) {
    const high = words[i]!;
    const low = words[i + 1]!;
    if ((high & COMPRESSED) !== 0) {
      if (!addCompressed(high, low, scan, weight, counts)) return i / stride;
      continue;
    }
    if ((high & 0x3f00_0000) !== 0 || (low & lowMustBeClear) !== 0) return i / stride;
    const cluster = (high & 0x00ff_ffff) * highScale + (low >>> clusterBits);
    if (cluster === 0) {
      if ((high & COPIED) !== 0 && !lenient) return i / stride;
      continue;
    }
    if (cluster >= fileClusters) return i / stride;
    if (taken !== undefined && counts.get(cluster) !== 0) taken(cluster);
    if (!counts.change(cluster, weight)) return i / stride;
  }
  return NO_PROBLEM;
}

function addCompressed(
  high: number,
  low: number,
  scan: Scan,
  weight: number,
  counts: Counts,
): boolean {
  if ((high & COPIED) !== 0) return false;
  const { at, sectorBytes } = compressedExtent(high, low, scan.clusterBits);
  if (at >= 2 ** 56) return false;
  const clusterBytes = 2 ** scan.clusterBits;
  const first = Math.floor(at / clusterBytes);
  const last = lastCluster(at, sectorBytes, clusterBytes);
  if (first === 0 || last >= scan.fileClusters) return false;
  for (let cluster = first; cluster <= last; cluster++) {
    const count = counts.get(cluster) + weight;
    if (count > counts.max || count < 0) return false;
  }
  for (let cluster = first; cluster <= last; cluster++) counts.change(cluster, weight);
  return true;
}

/** Index of the next extended entry whose bitmap can't be right, or NO_PROBLEM. Spec: Extended L2 Entries. */
export function nextBadBitmap(words: Uint32Array, scan: Scan, from: number): number {
  if (scan.stride !== 4) return NO_PROBLEM;
  for (let i = from * 4; i < words.length; i += 4) {
    const zeroBits = words[i + 2]!;
    const allocatedBits = words[i + 3]!;
    if ((zeroBits | allocatedBits) === 0) continue;
    const high = words[i]!;
    if ((high & COMPRESSED) !== 0) return i / 4;
    const hasCluster = offsetOf(high, words[i + 1]!) !== 0;
    if ((zeroBits & allocatedBits) !== 0 || (!hasCluster && allocatedBits !== 0)) return i / 4;
  }
  return NO_PROBLEM;
}

/** Whether any entry carries the COPIED flag. */
export function anyCopied(words: Uint32Array, scan: Scan): boolean {
  let union = 0;
  for (let i = 0; i < words.length; i += scan.stride) union |= words[i]!;
  return (union & COPIED) !== 0;
}

/** Whether any entry's COPIED flag is not what the counts ask for: set at a count of exactly 1. */
export function anyCopiedWrong(words: Uint32Array, scan: Scan, counts: Counts): boolean {
  const { stride, clusterBits, highScale } = scan;
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]!;
    if ((high & COMPRESSED) !== 0) continue;
    const cluster = (high & 0x00ff_ffff) * highScale + (words[i + 1]! >>> clusterBits);
    const wanted = cluster !== 0 && isOne(counts, cluster);
    if (high >>> 31 !== (wanted ? 1 : 0)) return true;
  }
  return false;
}

/** Whether a cluster is referred to exactly once. */
export function isOne(counts: Counts, cluster: number): boolean {
  return (counts.onesAt(cluster >>> 5) & (1 << (cluster & 31))) !== 0;
}

/** Sets every COPIED flag to what the counts ask for, in place. Spec: L2 table entry, bit 63. */
export function setCopied(words: Uint32Array, scan: Scan, counts: Counts): void {
  const { stride, clusterBits, highScale } = scan;
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]! & ~COPIED;
    if ((high & COMPRESSED) !== 0) continue;
    const cluster = (high & 0x00ff_ffff) * highScale + (words[i + 1]! >>> clusterBits);
    const wanted = cluster !== 0 && isOne(counts, cluster);
    words[i] = wanted ? high | COPIED : high;
  }
}

/**
 * Sets the COPIED flag of every entry with an offset other than 0. (An entry with the offset 0 is left: there the flag
 * alone tells whether it names data.) Returns whether a flag was missing.
 *
 * QEMU: block/qcow2-refcount.c, check_oflag_copied.
 */
export function setCopiedOfAll(words: Uint32Array, { stride }: Scan): boolean {
  let changed = false;
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]!;
    if ((high & (COMPRESSED | COPIED)) !== 0 || offsetOf(high, words[i + 1]!) === 0) continue;
    words[i] = (high | COPIED) >>> 0;
    changed = true;
  }
  return changed;
}

/** How the allocated guest clusters of an L2 table follow each other in the file. */
export interface Layout {
  allocated: number;
  /** Allocated ones that do not follow their predecessor; compressed ones never do. */
  fragmented: number;
  compressed: number;
}

/** Whether an entry without an offset names the start of an external data file. */
function isFirst(high: number, low: number, stride: number): boolean {
  return (high & COPIED) !== 0 && (stride === 4 || (low & ZERO_FLAG) === 0);
}

/**
 * Adds a table's layout to `to`, `times` times.
 *
 * @param external whether guest data lies in a file of its own, where it may begin at 0.
 * QEMU: check_refcounts_l2 with CHECK_FRAG_INFO.
 */
export function addLayout(
  words: Uint32Array,
  scan: Scan,
  times: number,
  external: boolean,
  to: Layout,
): void {
  const { stride, clusterBits, highScale } = scan;
  const lowScale = 2 ** -clusterBits;
  let allocated = 0;
  let fragmented = 0;
  let compressed = 0;
  let next = 0;
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]!;
    if ((high & COMPRESSED) !== 0) {
      // One with a subcluster bitmap, or beside a data file, is no cluster at all.
      if (external) continue;
      if (stride === 2 || (words[i + 2]! | words[i + 3]!) === 0) compressed += 1;
      continue;
    }
    // In clusters; entries that point off a cluster's start are no whole number of them.
    const at = (high & 0x00ff_ffff) * highScale + ((words[i + 1]! & OFFSET_LOW) >>> 0) * lowScale;
    if (at === 0 && !(external && isFirst(high, words[i + 1]!, stride))) continue;
    allocated += 1;
    if (next !== 0 && at !== next) fragmented += 1;
    next = at + 1;
  }
  to.allocated += (allocated + compressed) * times;
  to.fragmented += (fragmented + compressed) * times;
  to.compressed += compressed * times;
}
