/**
 * A plain guest: reads and writes the disk of an image held in memory as any simple qcow2 writer
 * does. What it finds shared it copies, what it finds marked COPIED it overwrites in place, so a
 * flag that lies harms a snapshot here just as it would under QEMU.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { allocateCluster, changeRefcount } from './image-builder-allocate.js';
import {
  COMPRESSED_BIT,
  compressedClusters,
  COPIED_BIT,
  layoutOf,
  OFFSET_MASK,
  putU64,
  u64,
  ZERO_BIT,
  type PlainDisk,
  type PlainLayout,
} from './image-builder-layout.js';

const SUBCLUSTERS = 32;

/** Which L1 table to read through, and how much disk it maps. */
export interface PlainMapping {
  readonly l1At: number;
  readonly l1Entries: number;
  readonly diskSizeBytes: number;
}

/**
 * The content of a guest disk through one L1 table; what is not allocated reads as zeros. Clusters
 * that zlib compressed are unpacked; zstd is beyond this reader.
 */
export function readGuest(bytes: Uint8Array, mapping: PlainMapping): Uint8Array {
  const layout = layoutOf(bytes);
  const { clusterBytes } = layout;
  const clusters = Math.ceil(mapping.diskSizeBytes / clusterBytes);
  const content = new Uint8Array(clusters * clusterBytes);
  for (let cluster = 0; cluster < clusters; cluster++) {
    const at = entryPosition(bytes, layout, mapping, cluster);
    if (at === undefined) continue;
    readCluster(
      bytes,
      layout,
      at,
      content.subarray(cluster * clusterBytes).subarray(0, clusterBytes),
    );
  }
  return content.subarray(0, mapping.diskSizeBytes);
}

/** Where the L2 entry of a guest cluster lies, or undefined without an L2 table. */
function entryPosition(
  bytes: Uint8Array,
  layout: PlainLayout,
  mapping: PlainMapping,
  cluster: number,
): number | undefined {
  const entryBytes = layout.extendedL2 ? 16 : 8;
  const l2Entries = layout.clusterBytes / entryBytes;
  const l1Index = Math.floor(cluster / l2Entries);
  if (l1Index >= mapping.l1Entries) return undefined;
  const l2At = Number(u64(bytes, mapping.l1At + l1Index * 8) & OFFSET_MASK);
  return l2At === 0 ? undefined : l2At + (cluster % l2Entries) * entryBytes;
}

function readCluster(
  bytes: Uint8Array,
  layout: PlainLayout,
  entryAt: number,
  into: Uint8Array,
): void {
  const entry = u64(bytes, entryAt);
  if ((entry & COMPRESSED_BIT) !== 0n) {
    const { at, sectorBytes } = compressedClusters(entry, layout);
    const packed = bytes.subarray(at, at + sectorBytes);
    into.set(inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH }));
    return;
  }
  const dataAt = Number(entry & OFFSET_MASK);
  if (!layout.extendedL2) {
    const zero = layout.version >= 3 && (entry & ZERO_BIT) !== 0n;
    if (dataAt !== 0 && !zero) into.set(bytes.subarray(dataAt, dataAt + into.length));
    return;
  }
  const bitmap = u64(bytes, entryAt + 8);
  const subclusterBytes = layout.clusterBytes / SUBCLUSTERS;
  for (let i = 0; i < SUBCLUSTERS; i++) {
    if ((bitmap & (1n << BigInt(i))) === 0n) continue;
    const from = dataAt + i * subclusterBytes;
    into.set(bytes.subarray(from, from + subclusterBytes), i * subclusterBytes);
  }
}

/** The smallest piece that this guest writes: a subcluster with extended L2, else a cluster. */
export function cellBytesOf(layout: PlainLayout): number {
  return layout.extendedL2 ? layout.clusterBytes / SUBCLUSTERS : layout.clusterBytes;
}

/** Fills one cell of the active disk with a byte. */
export function guestWrite(disk: PlainDisk, cell: number, fill: number): void {
  const layout = layoutOf(disk.bytes);
  const { cluster, subcluster } = placeOfCell(layout, cell);
  const entryAt = writableEntry(disk, layout, cluster);
  const dataAt = writableCluster(disk, entryAt);
  const { bytes } = disk;
  const cellBytes = cellBytesOf(layout);
  const from = dataAt + subcluster * cellBytes;
  bytes.fill(fill, from, from + cellBytes);
  putU64(bytes, entryAt, BigInt(dataAt) | COPIED_BIT);
  if (layout.extendedL2) {
    const bit = 1n << BigInt(subcluster);
    putU64(bytes, entryAt + 8, (u64(bytes, entryAt + 8) & ~(bit << 32n)) | bit);
  }
}

/**
 * Makes one cell of the active disk read as zeros. `keep` leaves the host cluster allocated where
 * the format can say so (version 3), otherwise it is released.
 */
export function guestZero(disk: PlainDisk, cell: number, keep: boolean): void {
  const layout = layoutOf(disk.bytes);
  const { cluster, subcluster } = placeOfCell(layout, cell);
  const entryAt = writableEntry(disk, layout, cluster);
  const packed = (u64(disk.bytes, entryAt) & COMPRESSED_BIT) !== 0n;
  if (packed && layout.extendedL2) writableCluster(disk, entryAt);
  const { bytes } = disk;
  const entry = u64(bytes, entryAt);
  if (layout.extendedL2) {
    const bit = 1n << BigInt(subcluster);
    putU64(bytes, entryAt + 8, (u64(bytes, entryAt + 8) & ~bit) | (bit << 32n));
    return;
  }
  if (keep && !packed && (entry & OFFSET_MASK) !== 0n && layout.version >= 3) {
    putU64(bytes, entryAt, entry | ZERO_BIT);
    return;
  }
  putU64(bytes, entryAt, layout.version >= 3 ? ZERO_BIT : 0n);
  release(disk, layout, entry);
}

/** Takes one reference from every host cluster that an L2 entry refers to. */
function release(disk: PlainDisk, layout: PlainLayout, entry: bigint): void {
  const at = Number(entry & OFFSET_MASK);
  if ((entry & COMPRESSED_BIT) === 0n) {
    if (at !== 0) changeRefcount(disk, at / layout.clusterBytes, -1n);
    return;
  }
  const { first, last } = compressedClusters(entry, layout);
  for (let cluster = first; cluster <= last; cluster++) changeRefcount(disk, cluster, -1n);
}

/**
 * Fills guest clusters in a row with a byte each, compressed and packed behind one another as far
 * as their host clusters are neighbours. Every other one is stored without compression inside the
 * deflate stream, which makes it longer than a cluster.
 */
export function guestWriteCompressed(disk: PlainDisk, from: number, fills: Uint8Array): void {
  const layout = layoutOf(disk.bytes);
  const { clusterBytes, refcountBits, clusterBits } = layout;
  const offsetBits = BigInt(62 - (clusterBits - 8));
  let free = { at: 0, end: 0 };
  fills.forEach((fill, i) => {
    const entryAt = writableEntry(disk, layout, from + i);
    const level = i % 2 === 1 && clusterBits > 10 ? 0 : 9;
    const packed = deflateRawSync(new Uint8Array(clusterBytes).fill(fill), { level });
    // A refcount of few bits can't count many compressed clusters in one host cluster.
    if (refcountBits < 16) free = { at: 0, end: 0 };
    const taken: number[] = [];
    while (free.end - free.at < packed.length) {
      const cluster = allocateCluster(disk);
      taken.push(cluster);
      if (cluster * clusterBytes !== free.end) free.at = cluster * clusterBytes;
      free.end = (cluster + 1) * clusterBytes;
    }
    const { at } = free;
    disk.bytes.set(packed, at);
    free = { at: at + packed.length, end: free.end };
    const sectors = Math.ceil(((at % 512) + packed.length) / 512);
    const entry = COMPRESSED_BIT | (BigInt(sectors - 1) << offsetBits) | BigInt(at);
    const { first, last } = compressedClusters(entry, layout);
    for (let cluster = first; cluster <= last; cluster++) {
      // Allocation gave new ones their first reference.
      if (!taken.includes(cluster)) changeRefcount(disk, cluster, 1n);
    }
    for (const cluster of taken) {
      if (cluster < first || cluster > last) changeRefcount(disk, cluster, -1n);
    }
    const old = u64(disk.bytes, entryAt);
    putU64(disk.bytes, entryAt, entry);
    if (layout.extendedL2) putU64(disk.bytes, entryAt + 8, 0n);
    release(disk, layout, old);
  });
}

function placeOfCell(layout: PlainLayout, cell: number): { cluster: number; subcluster: number } {
  const perCluster = layout.extendedL2 ? SUBCLUSTERS : 1;
  return { cluster: Math.floor(cell / perCluster), subcluster: cell % perCluster };
}

/** Position of a guest cluster's L2 entry, in an L2 table that the active disk has for itself. */
function writableEntry(disk: PlainDisk, layout: PlainLayout, cluster: number): number {
  const entryBytes = layout.extendedL2 ? 16 : 8;
  const l2Entries = layout.clusterBytes / entryBytes;
  const l1EntryAt = layout.l1At + Math.floor(cluster / l2Entries) * 8;
  const inTable = (cluster % l2Entries) * entryBytes;
  const l1 = u64(disk.bytes, l1EntryAt);
  const old = Number(l1 & OFFSET_MASK);
  if ((l1 & COPIED_BIT) !== 0n) return old + inTable;
  const l2At = allocateCluster(disk) * layout.clusterBytes;
  const { bytes } = disk;
  if (old === 0) bytes.fill(0, l2At, l2At + layout.clusterBytes);
  else bytes.copyWithin(l2At, old, old + layout.clusterBytes);
  putU64(bytes, l1EntryAt, BigInt(l2At) | COPIED_BIT);
  if (old !== 0) changeRefcount(disk, old / layout.clusterBytes, -1n);
  return l2At + inTable;
}

/** Offset of a host cluster that the active disk has for itself, with the old data in it. */
function writableCluster(disk: PlainDisk, entryAt: number): number {
  const layout = layoutOf(disk.bytes);
  const { clusterBytes } = layout;
  const entry = u64(disk.bytes, entryAt);
  const packed = (entry & COMPRESSED_BIT) !== 0n;
  const old = packed ? 0 : Number(entry & OFFSET_MASK);
  if (old !== 0 && (entry & COPIED_BIT) !== 0n) return old;
  const content = new Uint8Array(clusterBytes);
  if (packed) readCluster(disk.bytes, layout, entryAt, content);
  else if (old !== 0) content.set(disk.bytes.subarray(old, old + clusterBytes));
  const at = allocateCluster(disk) * clusterBytes;
  disk.bytes.set(content, at);
  putU64(disk.bytes, entryAt, BigInt(at) | COPIED_BIT);
  if (packed && layout.extendedL2) putU64(disk.bytes, entryAt + 8, 0xffff_ffffn);
  release(disk, layout, entry);
  return at;
}
