/**
 * A plain guest: reads and writes the disk of an image held in memory as any simple qcow2 writer
 * does. What it finds shared it copies, what it finds marked COPIED it overwrites in place, so a
 * flag that lies harms a snapshot here just as it would under QEMU.
 */
import { inflateRawSync, constants } from 'node:zlib';
import {
  blockAt,
  blockEntries,
  COMPRESSED_BIT,
  compressedClusters,
  COPIED_BIT,
  layoutOf,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  refcountOf,
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
  const { bytes } = disk;
  const entry = u64(bytes, entryAt);
  if (layout.extendedL2) {
    const bit = 1n << BigInt(subcluster);
    putU64(bytes, entryAt + 8, (u64(bytes, entryAt + 8) & ~bit) | (bit << 32n));
    return;
  }
  const at = Number(entry & OFFSET_MASK);
  if (keep && at !== 0 && layout.version >= 3) {
    putU64(bytes, entryAt, entry | ZERO_BIT);
    return;
  }
  putU64(bytes, entryAt, layout.version >= 3 ? ZERO_BIT : 0n);
  if (at !== 0) changeRefcount(disk, at / layout.clusterBytes, -1n);
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
  const old = Number(entry & OFFSET_MASK);
  if (old !== 0 && (entry & COPIED_BIT) !== 0n) return old;
  const at = allocateCluster(disk) * clusterBytes;
  if (old === 0) {
    disk.bytes.fill(0, at, at + clusterBytes);
    return at;
  }
  disk.bytes.copyWithin(at, old, old + clusterBytes);
  changeRefcount(disk, old / clusterBytes, -1n);
  return at;
}

/** Takes the first cluster that counts as free, growing file and refcount structures as needed. */
export function allocateCluster(disk: PlainDisk): number {
  let layout = layoutOf(disk.bytes);
  for (let cluster = 1; ; cluster++) {
    if (blockAt(disk.bytes, layout, cluster) === 0) {
      addBlock(disk, layout, cluster);
      layout = layoutOf(disk.bytes);
    }
    if (refcountOf(disk.bytes, layout, cluster) !== 0n) continue;
    reach(disk, cluster + 1);
    changeRefcount(disk, cluster, 1n);
    return cluster;
  }
}

/** Makes the free cluster `cluster`, the first without a refcount block, the block itself. */
function addBlock(disk: PlainDisk, layout: PlainLayout, cluster: number): void {
  const { clusterBytes, refcountBits, refcountTableAt, refcountTableClusters } = layout;
  const index = Math.floor(cluster / blockEntries(layout));
  reach(disk, cluster + 1);
  const block = cluster * clusterBytes;
  disk.bytes.fill(0, block, block + clusterBytes);
  putRefcountAt(disk.bytes, block, refcountBits, cluster % blockEntries(layout), 1n);
  if (index < (refcountTableClusters * clusterBytes) / 8) {
    putU64(disk.bytes, refcountTableAt + index * 8, BigInt(block));
    return;
  }
  // A longer table goes right behind the new block, which counts it.
  const clusters = refcountTableClusters + 1;
  if (1 + clusters > blockEntries(layout)) throw new RangeError('a block too small for the table');
  const tableAt = (cluster + 1) * clusterBytes;
  reach(disk, cluster + 1 + clusters);
  const { bytes } = disk;
  bytes.fill(0, tableAt, tableAt + clusters * clusterBytes);
  bytes.copyWithin(
    tableAt,
    refcountTableAt,
    refcountTableAt + refcountTableClusters * clusterBytes,
  );
  putU64(bytes, tableAt + index * 8, BigInt(block));
  for (let i = 1; i <= clusters; i++) {
    putRefcountAt(bytes, block, refcountBits, (cluster + i) % blockEntries(layout), 1n);
  }
  putU64(bytes, 48, BigInt(tableAt));
  putU32(bytes, 56, clusters);
  for (let i = 0; i < refcountTableClusters; i++) {
    changeRefcount(disk, refcountTableAt / clusterBytes + i, -1n);
  }
}

function reach(disk: PlainDisk, clusters: number): void {
  const length = clusters * layoutOf(disk.bytes).clusterBytes;
  if (length <= disk.bytes.length) return;
  const longer = new Uint8Array(length);
  longer.set(disk.bytes);
  disk.bytes = longer;
}

function changeRefcount(disk: PlainDisk, cluster: number, by: bigint): void {
  const layout = layoutOf(disk.bytes);
  const block = blockAt(disk.bytes, layout, cluster);
  if (block === 0) throw new RangeError(`cluster ${cluster} has no refcount block`);
  const count = refcountOf(disk.bytes, layout, cluster) + by;
  if (count < 0n) throw new RangeError(`cluster ${cluster} has a refcount of 0 already`);
  putRefcountAt(disk.bytes, block, layout.refcountBits, cluster % blockEntries(layout), count);
}
