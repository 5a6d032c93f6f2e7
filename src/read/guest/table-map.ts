import {
  compressedOffsetHighBits,
  COMPRESSED,
  COPIED,
  hasZeroFlag,
  ZERO_FLAG,
} from '../../l1l2/entry.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { endOfRun, endOfZeros } from '../../l1l2/runs.js';
import { HOST_IS_LITTLE, valueOfStored } from '../../base/words.js';
import { NOWHERE, type SegmentKind, type SegmentList } from './segments.js';
import type { TableMap } from './table-rules.js';

/**
 * @param external whether the image has an external data file, which may be of any length.
 * @param tolerant whether to accept what QEMU accepts: reserved bits, and offsets past the end of
 *   the file, where it reads zeros.
 */
export function tableMapOf(
  format: TableFormat,
  fileSizeBytes: number,
  external: boolean,
  tolerant: boolean,
): TableMap {
  const { clusterBytes } = format.geometry;
  const zeroFlag = hasZeroFlag(format) ? ZERO_FLAG : 0;
  // QEMU refuses bit 0 in version 2, where the flag does not exist yet.
  const tolerated = tolerant ? 0x1fe | (format.version === 2 ? 0 : ZERO_FLAG) : zeroFlag;
  return {
    format,
    highMustBeClear: tolerant ? 0 : 0x3f00_0000,
    lowMustBeClear: (clusterBytes - 1) & ~tolerated,
    zeroFlag,
    clustersEnd: tolerant || external ? Infinity : format.fileClusters,
    packedEnd: external ? 0 : tolerant ? Infinity : fileSizeBytes,
    tablesEnd: tolerant ? Infinity : fileSizeBytes,
    external,
    tolerant,
  };
}

/** The result of a loop that found nothing wrong. */
export const NO_PROBLEM = -1;

const NONE = 0;
const UNALLOCATED = 1;
const ZERO_PLAIN = 2;
/** Kinds from here on have a place in the file. */
const ZERO_ALLOC = 3;
const NORMAL = 4;

const RUN_KINDS: readonly SegmentKind[] = ['unallocated', 'unallocated', 'zero', 'zero', 'data'];

/**
 * Adds what the entries `first` to `end` of an L2 table map to `segments`.
 *
 * @param words the table: as it is stored, or in host order where entries are extended ones.
 * @param guestAt guest offset that the entry 0 maps.
 * @returns NO_PROBLEM, or the index of the first entry that is wrong; all before it are added.
 * Spec: L2 table entry.
 */
export function mapTable(
  words: Uint32Array,
  map: TableMap,
  first: number,
  end: number,
  guestAt: number,
  segments: SegmentList,
): number {
  return map.format.geometry.l2EntryBytes === 16
    ? mapExtended(words, map, first, end, guestAt, segments)
    : mapStandard(words, map, first, end, guestAt, segments);
}

function mapStandard(
  words: Uint32Array,
  map: TableMap,
  first: number,
  end: number,
  guestAt: number,
  segments: SegmentList,
): number {
  const { highMustBeClear, lowMustBeClear, zeroFlag, clustersEnd, external } = map;
  const { clusterBits, clusterBytes } = map.format.geometry;
  const highScale = 2 ** (32 - clusterBits);
  let kind = NONE;
  let from = first;
  let firstCluster = 0;
  let next = 0;
  let problem = NO_PROBLEM;
  let i = first;
  for (; i < end; i++) {
    const high = valueOfStored(words[2 * i]!);
    const low = valueOfStored(words[2 * i + 1]!) >>> 0;
    let found = UNALLOCATED;
    let cluster = 0;
    if ((high & COMPRESSED) !== 0) found = NONE;
    else if ((high | low) !== 0) {
      cluster = (high & 0x00ff_ffff) * highScale + (low >>> clusterBits);
      const isWrong = (high & highMustBeClear) !== 0 || (low & lowMustBeClear) !== 0;
      if (
        isWrong ||
        cluster >= clustersEnd ||
        (external && !isInPlace(map, high, cluster, guestAt, i))
      ) {
        problem = i;
        break;
      }
      if ((low & zeroFlag) !== 0) found = cluster === 0 ? ZERO_PLAIN : ZERO_ALLOC;
      else if (cluster !== 0 || (external && (high & COPIED) !== 0)) found = NORMAL;
    }
    const goesOn = found === kind && found !== NONE && (found < ZERO_ALLOC || cluster === next);
    if (!goesOn) {
      if (kind !== NONE) {
        addRun(kind, guestAt + from * clusterBytes, i - from, firstCluster, clusterBytes, segments);
      }
      kind = found;
      from = i;
      firstCluster = cluster;
      next = cluster;
    }
    if (found >= ZERO_ALLOC && HOST_IS_LITTLE && !external) {
      // What has the same flags and the next cluster needs no look of its own.
      const most = Math.min(clustersEnd - cluster, highScale - (low >>> clusterBits));
      const runEnd = endOfRun(words, 2 * i, 2 * Math.min(end, i + most), clusterBits) / 2;
      next += runEnd - i - 1;
      i = runEnd - 1;
    }
    if (found === UNALLOCATED) i = endOfZeros(words, 2 * i + 2, 2 * end) / 2 - 1;
    next += 1;
    if (found === NONE && !addCompressed(high, low, map, guestAt + i * clusterBytes, segments)) {
      problem = i;
      break;
    }
  }
  if (kind !== NONE) {
    addRun(kind, guestAt + from * clusterBytes, i - from, firstCluster, clusterBytes, segments);
  }
  return problem;
}

function addRun(
  kind: number,
  start: number,
  clusters: number,
  firstCluster: number,
  clusterBytes: number,
  segments: SegmentList,
): void {
  const at = kind < ZERO_ALLOC ? NOWHERE : firstCluster * clusterBytes;
  segments.add(RUN_KINDS[kind]!, start, clusters * clusterBytes, at);
}

/** Whether an entry of an image with a data file points nowhere or at its own guest offset. */
function isInPlace(
  map: TableMap,
  high: number,
  cluster: number,
  guestAt: number,
  entry: number,
): boolean {
  if (cluster === 0 && (high & COPIED) === 0) return true;
  return cluster === guestAt / map.format.geometry.clusterBytes + entry;
}

/** Spec: Compressed Clusters Descriptor. */
function addCompressed(
  high: number,
  low: number,
  map: TableMap,
  start: number,
  segments: SegmentList,
): boolean {
  const { clusterBits, clusterBytes } = map.format.geometry;
  const highBits = compressedOffsetHighBits(clusterBits);
  const at = (high & (2 ** highBits - 1)) * 2 ** 32 + low;
  if (at >= map.packedEnd || (at < clusterBytes && !map.tolerant)) return false;
  segments.addCompressed(start, clusterBytes, at, (((high & 0x3fff_ffff) >>> highBits) + 1) * 512);
  return true;
}

const ALL_SUBCLUSTERS = 0xffff_ffff;
const SUBCLUSTERS = 32;

function mapExtended(
  words: Uint32Array,
  map: TableMap,
  first: number,
  end: number,
  guestAt: number,
  segments: SegmentList,
): number {
  const { highMustBeClear, lowMustBeClear, clustersEnd, external, tolerant } = map;
  const { clusterBits, clusterBytes } = map.format.geometry;
  const highScale = 2 ** (32 - clusterBits);
  for (let i = first; i < end; i++) {
    const high = words[4 * i]!;
    const low = words[4 * i + 1]!;
    const zeros = words[4 * i + 2]!;
    const allocated = words[4 * i + 3]!;
    const start = guestAt + i * clusterBytes;
    if ((high & COMPRESSED) !== 0) {
      if ((zeros | allocated) !== 0 && !tolerant) return i;
      if (!addCompressed(high, low, map, start, segments)) return i;
      continue;
    }
    const cluster = (high & 0x00ff_ffff) * highScale + (low >>> clusterBits);
    const isWrong = (high & highMustBeClear) !== 0 || (low & lowMustBeClear) !== 0;
    if (isWrong || cluster >= clustersEnd) return i;
    if (external && !isInPlace(map, high, cluster, guestAt, i)) return i;
    const hasCluster = cluster !== 0 || (external && (high & COPIED) !== 0);
    if (hasCluster ? (zeros & allocated) !== 0 : allocated !== 0) return i;
    const at = hasCluster ? cluster * clusterBytes : NOWHERE;
    addSubclusters(zeros, allocated, start, clusterBytes, at, segments);
  }
  return NO_PROBLEM;
}

/** Spec: Subcluster Allocation Bitmap. */
function addSubclusters(
  zeros: number,
  allocated: number,
  start: number,
  clusterBytes: number,
  at: number,
  segments: SegmentList,
): void {
  if (allocated === ALL_SUBCLUSTERS) segments.add('data', start, clusterBytes, at);
  else if (zeros === ALL_SUBCLUSTERS) segments.add('zero', start, clusterBytes, at);
  else if ((zeros | allocated) === 0) segments.add('unallocated', start, clusterBytes, at);
  else {
    const bytes = clusterBytes / SUBCLUSTERS;
    for (let i = 0; i < SUBCLUSTERS; i++) {
      const bit = 1 << i;
      const offset = i * bytes;
      const place = at === NOWHERE ? NOWHERE : at + offset;
      if ((allocated & bit) !== 0) segments.add('data', start + offset, bytes, place);
      else if ((zeros & bit) !== 0) segments.add('zero', start + offset, bytes, place);
      else segments.add('unallocated', start + offset, bytes, place);
    }
  }
}
