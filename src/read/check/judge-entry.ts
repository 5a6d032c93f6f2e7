import { hex } from '../../base/words.js';
import type { Image } from '../../image/image.js';
import {
  COMPRESSED,
  compressedExtent,
  compressedOffsetHighBits,
  COPIED,
  offsetOf,
  ZERO_FLAG,
} from '../../l1l2/entry.js';
import type { Scan, Taken } from '../../l1l2/scan.js';
import type { FindingCode } from './catalog.js';
import type { FindingCollector, Found } from './collector.js';
import type { Facts, Structure } from './finding-parts.js';
import type { ReferenceCounter } from './reference-counter.js';

/** The table that an entry is in. */
export interface EntryPlace {
  readonly scan: Scan;
  readonly structure: Structure;
  readonly tableAt: number;
  readonly pointers: number;
  /** Takes clusters that something else was counted to name already. */
  readonly taken: Taken | undefined;
}

interface Sinks {
  readonly counter: ReferenceCounter;
  readonly collector: FindingCollector;
}

/**
 * Judges one L2 entry and counts the clusters that it refers to, as QEMU does. One entry can have several
 * findings, and its clusters may count all the same.
 *
 * QEMU: block/qcow2-refcount.c, check_refcounts_l2.
 */
export function judgeEntry(
  words: Uint32Array,
  index: number,
  place: EntryPlace,
  image: Image,
  { counter, collector }: Sinks,
): void {
  const { scan, structure, tableAt, pointers } = place;
  const i = index * scan.stride;
  const [high, low] = [words[i]!, words[i + 1]!];
  const [zeroBits, allocatedBits] = scan.stride === 4 ? [words[i + 2]!, words[i + 3]!] : [0, 0];
  const { clusterBytes } = scan.format.geometry;
  const where = (): Found & { facts: Facts } => {
    // All bits of a packed cluster's entry are its place.
    const compressed = (high & COMPRESSED) !== 0;
    const isReserve =
      !compressed && (scan.stride === 2 ? (low & ZERO_FLAG) !== 0 : allocatedBits === 0);
    // Of a cluster with subclusters only those need to be there that are allocated.
    const used = 32 - Math.clz32(allocatedBits);
    const needed = scan.stride === 2 || compressed ? clusterBytes : (used * clusterBytes) / 32;
    const entry = factsOf(high, low, scan.clusterBits);
    const facts = { ...entry, index, zero: isReserve, compressed, needed };
    return { structure, at: tableAt + i * 4, times: pointers, facts };
  };
  const add = (code: FindingCode): void => {
    collector.add(code, where());
  };
  const { externalDataFile } = image.header;
  if ((high & COMPRESSED) !== 0) {
    if ((high & COPIED) !== 0) add('L2_COMPRESSED_COPIED');
    if (externalDataFile) add('L2_COMPRESSED_IN_DATA_FILE_IMAGE');
    else if ((zeroBits | allocatedBits) !== 0) add('L2_COMPRESSED_WITH_SUBCLUSTERS');
    else {
      const { at, sectorBytes } = compressedExtent(high, low, scan.clusterBits);
      counter.count(at, sectorBytes - (low & 511), pointers, 'L2_ENTRY_PAST_END', where);
    }
    return;
  }
  if ((high & 0x3f00_0000) !== 0 || (low & 0x1fe) !== 0) add('L2_ENTRY_RESERVED_BITS');
  const zeroFlagMeans = scan.format.version === 3 && scan.stride === 2;
  if ((low & ZERO_FLAG) !== 0 && !zeroFlagMeans) add('ZERO_FLAG_MEANINGLESS');
  const offset = offsetOf(high, low);
  // Guest data in a file of its own may begin at 0: the flag tells that there is any.
  const isPlace = offset !== 0 || (externalDataFile && (high & COPIED) !== 0);
  if (!isPlace) {
    if (allocatedBits !== 0) add('L2_SUBCLUSTERS_WITHOUT_CLUSTER');
    else if ((high & COPIED) !== 0) add('COPIED_WITHOUT_CLUSTER');
    return;
  }
  if ((zeroBits & allocatedBits) !== 0) add('L2_SUBCLUSTERS_CONTRADICT');
  if (offset % clusterBytes !== 0) add('L2_ENTRY_MISALIGNED');
  if (!externalDataFile) {
    if (place.taken !== undefined && counter.isReferredTo(offset)) {
      place.taken(Math.floor(offset / clusterBytes));
    }
    counter.count(offset, clusterBytes, pointers, 'L2_ENTRY_PAST_END', where);
  }
}

/**
 * An entry as findings print it, and where it points.
 *
 * @param clusterBits only for L2 entries, which may be compressed.
 */
export function factsOf(
  high: number,
  low: number,
  clusterBits?: number,
): { entry: string; offset: string } {
  const entry = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  const isCompressed = clusterBits !== undefined && (high & COMPRESSED) !== 0;
  // To the byte: a number does not hold each place that a bad entry can name.
  const offset = isCompressed
    ? BigInt.asUintN(32 + compressedOffsetHighBits(clusterBits), entry)
    : offsetOf(high, low);
  return { entry: hex(entry), offset: hex(offset) };
}
