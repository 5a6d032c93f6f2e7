/**
 * A second, plain reading of the qcow2 format, for tests alone: straight from the specification,
 * slow, and sharing no code with the engine, so that a mistake there can't hide here.
 */

/** An image in memory that grows; functions that write replace `bytes` when it gets longer. */
export interface PlainDisk {
  bytes: Uint8Array;
}

export interface PlainSnapshot {
  /** Byte offset of the entry in the file. */
  readonly at: number;
  readonly id: string;
  readonly name: string;
  readonly l1At: number;
  readonly l1Entries: number;
  readonly diskSizeBytes: number;
  readonly vmStateBytes: bigint;
  readonly extraBytes: number;
}

/** What the header and its tables say. Offsets and sizes in bytes. */
export interface PlainLayout {
  readonly version: number;
  readonly clusterBytes: number;
  readonly clusterBits: number;
  readonly diskSizeBytes: number;
  readonly l1At: number;
  readonly l1Entries: number;
  readonly refcountTableAt: number;
  readonly refcountTableClusters: number;
  readonly refcountBits: number;
  readonly extendedL2: boolean;
  readonly externalDataFile: boolean;
  readonly snapshotCount: number;
  readonly snapshotTableAt: number;
  /** Type, position and length of each header extension. */
  readonly extensions: readonly { type: number; at: number; bytes: number }[];
  /** Whether the bitmaps extension is to be believed. */
  readonly bitmapsValid: boolean;
}

export const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;
export const COPIED_BIT = 1n << 63n;
export const COMPRESSED_BIT = 1n << 62n;
export const ZERO_BIT = 1n;

export const u16 = (bytes: Uint8Array, at: number): number => view(bytes).getUint16(at);
export const u32 = (bytes: Uint8Array, at: number): number => view(bytes).getUint32(at);
export const u64 = (bytes: Uint8Array, at: number): bigint => view(bytes).getBigUint64(at);

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  view(bytes).setUint32(at, value);
}

export function putU64(bytes: Uint8Array, at: number, value: bigint): void {
  view(bytes).setBigUint64(at, value);
}

/** The host offset that an entry, or a pointer of the header, names. */
export const offsetAt = (bytes: Uint8Array, at: number): number =>
  Number(u64(bytes, at) & OFFSET_MASK);

/** Flips a bit of the 64-bit value at `at`. */
export function flipBit(bytes: Uint8Array, at: number, bit: number): void {
  putU64(bytes, at, u64(bytes, at) ^ (1n << BigInt(bit)));
}

const views = new WeakMap<Uint8Array, DataView>();

function view(bytes: Uint8Array): DataView {
  let known = views.get(bytes);
  if (known === undefined) {
    known = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    views.set(bytes, known);
  }
  return known;
}

/** Reads the header. Throws RangeError where it lies past the end of the bytes. */
export function layoutOf(bytes: Uint8Array): PlainLayout {
  const version = u32(bytes, 4);
  const incompatible = version >= 3 ? u64(bytes, 72) : 0n;
  const clusterBits = u32(bytes, 20);
  const headerBytes = version >= 3 ? u32(bytes, 100) : 72;
  return {
    version,
    clusterBits,
    clusterBytes: 2 ** clusterBits,
    diskSizeBytes: Number(u64(bytes, 24)),
    l1Entries: u32(bytes, 36),
    l1At: Number(u64(bytes, 40)),
    refcountTableAt: Number(u64(bytes, 48)),
    refcountTableClusters: u32(bytes, 56),
    snapshotCount: u32(bytes, 60),
    snapshotTableAt: Number(u64(bytes, 64)),
    refcountBits: version >= 3 ? 2 ** u32(bytes, 96) : 16,
    extendedL2: (incompatible & 16n) !== 0n,
    externalDataFile: (incompatible & 4n) !== 0n,
    bitmapsValid: version >= 3 && (u64(bytes, 88) & 1n) !== 0n,
    extensions: extensionsOf(bytes, headerBytes),
  };
}

function extensionsOf(bytes: Uint8Array, from: number): PlainLayout['extensions'] {
  const found: { type: number; at: number; bytes: number }[] = [];
  const end = Math.min(2 ** u32(bytes, 20), bytes.length - 8);
  for (let at = from; at < end;) {
    const type = u32(bytes, at);
    const length = u32(bytes, at + 4);
    if (type === 0) break;
    found.push({ type, at: at + 8, bytes: length });
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return found;
}

/** The snapshot table, and how many bytes it takes. */
export function snapshotsOf(bytes: Uint8Array): {
  readonly snapshots: readonly PlainSnapshot[];
  readonly tableBytes: number;
} {
  const { snapshotCount, snapshotTableAt, diskSizeBytes } = layoutOf(bytes);
  const snapshots: PlainSnapshot[] = [];
  let at = snapshotTableAt;
  let end = at;
  for (let i = 0; i < snapshotCount; i++) {
    const idBytes = u16(bytes, at + 12);
    const nameBytes = u16(bytes, at + 14);
    const extraBytes = u32(bytes, at + 36);
    const idAt = at + 40 + extraBytes;
    end = idAt + idBytes + nameBytes;
    if (end > bytes.length) throw new RangeError('the snapshot table reaches past the end');
    const text = (from: number, length: number): string => {
      return new TextDecoder().decode(bytes.subarray(from, from + length));
    };
    snapshots.push({
      at,
      id: text(idAt, idBytes),
      name: text(idAt + idBytes, nameBytes),
      l1At: Number(u64(bytes, at)),
      l1Entries: u32(bytes, at + 8),
      extraBytes,
      vmStateBytes: extraBytes >= 8 ? u64(bytes, at + 40) : BigInt(u32(bytes, at + 32)),
      diskSizeBytes: extraBytes >= 16 ? Number(u64(bytes, at + 48)) : diskSizeBytes,
    });
    // Entries begin at multiples of 8 from the start of the table.
    at = snapshotTableAt + Math.ceil((end - snapshotTableAt) / 8) * 8;
  }
  return { snapshots, tableBytes: end - snapshotTableAt };
}

/** How many host clusters one refcount block counts. */
export function blockEntries(layout: PlainLayout): number {
  return (layout.clusterBytes * 8) / layout.refcountBits;
}

/** Host offset of the refcount block that counts a cluster, or 0. */
export function blockAt(bytes: Uint8Array, layout: PlainLayout, cluster: number): number {
  const index = Math.floor(cluster / blockEntries(layout));
  if (index >= (layout.refcountTableClusters * layout.clusterBytes) / 8) return 0;
  return Number(u64(bytes, layout.refcountTableAt + index * 8) & OFFSET_MASK);
}

/** The stored refcount of a host cluster. */
export function refcountOf(bytes: Uint8Array, layout: PlainLayout, cluster: number): bigint {
  const block = blockAt(bytes, layout, cluster);
  if (block === 0) return 0n;
  return refcountAt(bytes, block, layout.refcountBits, cluster % blockEntries(layout));
}

/** Entry `index` of the refcount block at `block`. Entries below a byte start at its low end. */
export function refcountAt(bytes: Uint8Array, block: number, bits: number, index: number): bigint {
  if (bits < 8) {
    const byte = bytes[block + Math.floor((index * bits) / 8)]!;
    return BigInt((byte >> ((index * bits) % 8)) & (2 ** bits - 1));
  }
  let value = 0n;
  for (let i = 0; i < bits / 8; i++) {
    value = value * 256n + BigInt(bytes[block + (index * bits) / 8 + i]!);
  }
  return value;
}

/** Writes an entry of the refcount block at `block`. */
export function putRefcountAt(
  bytes: Uint8Array,
  block: number,
  bits: number,
  index: number,
  value: bigint,
): void {
  if (value >= 2n ** BigInt(bits)) throw new RangeError(`${value} does not fit into ${bits} bits`);
  if (bits < 8) {
    const at = block + Math.floor((index * bits) / 8);
    const shift = (index * bits) % 8;
    bytes[at] = (bytes[at]! & ~((2 ** bits - 1) << shift)) | (Number(value) << shift);
    return;
  }
  let rest = value;
  for (let i = bits / 8 - 1; i >= 0; i--) {
    bytes[block + (index * bits) / 8 + i] = Number(rest % 256n);
    rest /= 256n;
  }
}

/** Host clusters that the bytes of a compressed cluster touch. */
export function compressedClusters(
  entry: bigint,
  layout: PlainLayout,
): { at: number; sectorBytes: number; first: number; last: number } {
  const offsetBits = BigInt(62 - (layout.clusterBits - 8));
  const at = Number(entry & (2n ** offsetBits - 1n));
  const sectors = Number((entry & (COMPRESSED_BIT - 1n)) >> offsetBits) + 1;
  const sectorBytes = sectors * 512;
  const end = Math.floor(at / 512) * 512 + sectorBytes - 1;
  return {
    at,
    sectorBytes,
    first: Math.floor(at / layout.clusterBytes),
    last: Math.floor(end / layout.clusterBytes),
  };
}
