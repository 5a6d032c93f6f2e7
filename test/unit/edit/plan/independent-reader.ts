/**
 * The format read a second time: straight from the specification, in BigInt, without any code of
 * src. It is slow and plain, and what it finds out is what plans are judged by.
 */
const MASK_OFFSET = 0x00ff_ffff_ffff_fe00n;
const BIT_COPIED = 1n << 63n;
const BIT_COMPRESSED = 1n << 62n;

export interface PlainDisk {
  readonly sizeBytes: bigint | undefined;
  /** By guest cluster index: the descriptor without bit 63, and the subcluster bitmap if any. */
  readonly map: ReadonlyMap<number, string>;
}

export interface PlainImage {
  readonly version: number;
  readonly clusterBytes: number;
  /** Stored refcount of every cluster of the file. */
  readonly stored: readonly bigint[];
  /** Refcounts of clusters that the file does not reach, where they are not 0. */
  readonly storedPastTheEnd: ReadonlyMap<number, bigint>;
  /** References counted in the tables, for every cluster of the file. */
  readonly counted: readonly number[];
  /** Clusters that guest data or VM state lies in. */
  readonly data: ReadonlySet<number>;
  readonly active: PlainDisk;
  readonly snapshots: readonly (PlainDisk & { readonly id: string; readonly name: string })[];
  /** Breaches of the specification, in words. */
  readonly findings: readonly string[];
}

class Bytes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get length(): number {
    return this.#bytes.length;
  }
  u8(at: number): number {
    return this.#bytes[at] ?? 0;
  }
  u16(at: number): number {
    return this.u8(at) * 256 + this.u8(at + 1);
  }
  u32(at: number): number {
    return this.u16(at) * 65_536 + this.u16(at + 2);
  }
  u64(at: number): bigint {
    if (at + 8 <= this.length) return this.#view.getBigUint64(at);
    return BigInt(this.u32(at)) * 2n ** 32n + BigInt(this.u32(at + 4));
  }
  isZero(at: number, length: number): boolean {
    for (let i = at; i < at + length; i++) if (this.u8(i) !== 0) return false;
    return true;
  }
  hex(at: number, length: number): string {
    return Buffer.from(this.#bytes.subarray(at, at + length)).toString('hex');
  }
}

interface Reader {
  readonly bytes: Bytes;
  readonly version: number;
  readonly clusterBits: number;
  readonly clusterBytes: number;
  readonly refcountBits: number;
  readonly extended: boolean;
  readonly counted: number[];
  readonly data: Set<number>;
  readonly stored: bigint[];
  readonly storedPastTheEnd: Map<number, bigint>;
  readonly findings: string[];
}

/** Reads everything; throws nothing for damage, which ends up in `findings`. */
export function readPlainly(file: Uint8Array): PlainImage {
  const bytes = new Bytes(file);
  const version = bytes.u32(4);
  const clusterBits = bytes.u32(20);
  const clusterBytes = 2 ** clusterBits;
  const clusters = Math.ceil(file.length / clusterBytes);
  const incompatible = version >= 3 ? bytes.u64(72) : 0n;
  const reader: Reader = {
    bytes,
    version,
    clusterBits,
    clusterBytes,
    refcountBits: version >= 3 ? 2 ** bytes.u32(96) : 16,
    extended: (incompatible & 16n) !== 0n,
    counted: new Array<number>(clusters).fill(0),
    data: new Set(),
    stored: new Array<bigint>(clusters).fill(0n),
    storedPastTheEnd: new Map(),
    findings: [],
  };
  count(reader, 0n, clusterBytes, 'header');
  readRefcounts(reader);
  countExtensions(reader);
  const sizeBytes = bytes.u64(24);
  const activeMap = readL1(reader, bytes.u64(40), bytes.u32(36), 'active');
  const snapshots = readSnapshots(reader);
  checkCopied(reader, bytes.u64(40), bytes.u32(36));
  const { stored, storedPastTheEnd, counted, data, findings } = reader;
  const active = { sizeBytes, map: activeMap };
  return {
    version,
    clusterBytes,
    stored,
    storedPastTheEnd,
    counted,
    data,
    active,
    snapshots,
    findings,
  };
}

function countData(reader: Reader, at: bigint, length: number, what: string): void {
  for (const cluster of clustersOf(reader, at, length)) reader.data.add(cluster);
  count(reader, at, length, what);
}

function clustersOf({ clusterBytes }: Reader, at: bigint, length: number): number[] {
  const first = Number(at / BigInt(clusterBytes));
  const end = Math.ceil((Number(at) + length) / clusterBytes);
  return Array.from({ length: end - first }, (_, i) => first + i);
}

function count(reader: Reader, at: bigint, length: number, what: string): void {
  for (const cluster of clustersOf(reader, at, length)) {
    if (cluster >= reader.counted.length) reader.findings.push(`${what} at ${at}: past the end`);
    else reader.counted[cluster]! += 1;
  }
}

function readRefcounts(reader: Reader): void {
  const { bytes, clusterBytes, refcountBits } = reader;
  const tableAt = Number(bytes.u64(48));
  const tableBytes = bytes.u32(56) * clusterBytes;
  count(reader, BigInt(tableAt), tableBytes, 'refcount table');
  const perBlock = (clusterBytes * 8) / refcountBits;
  for (let index = 0; index < tableBytes / 8; index++) {
    const block = bytes.u64(tableAt + index * 8);
    if (block === 0n) continue;
    count(reader, block, clusterBytes, 'refcount block');
    for (let i = 0; i < perBlock; i++) {
      const cluster = index * perBlock + i;
      const refcount = refcountAt(reader, Number(block), i);
      if (cluster < reader.counted.length) reader.stored[cluster] = refcount;
      else if (refcount !== 0n) reader.storedPastTheEnd.set(cluster, refcount);
    }
  }
}

function refcountAt({ bytes, refcountBits }: Reader, block: number, index: number): bigint {
  if (refcountBits < 8) {
    const bit = index * refcountBits;
    const value = bytes.u8(block + Math.floor(bit / 8)) >> (bit % 8);
    return BigInt(value % 2 ** refcountBits);
  }
  let value = 0n;
  const size = refcountBits / 8;
  for (let i = 0; i < size; i++) value = value * 256n + BigInt(bytes.u8(block + index * size + i));
  return value;
}

function countExtensions(reader: Reader): void {
  const { bytes, clusterBytes, version } = reader;
  const end = Number(bytes.u64(8)) || clusterBytes;
  const autoclear = version >= 3 ? bytes.u64(88) : 0n;
  for (let at = version >= 3 ? bytes.u32(100) : 72; at + 8 <= end;) {
    const [type, length] = [bytes.u32(at), bytes.u32(at + 4)];
    if (type === 0) return;
    if (type === 0x0537be77) count(reader, bytes.u64(at + 8), Number(bytes.u64(at + 16)), 'LUKS');
    if (type === 0x23852875 && (autoclear & 1n) === 1n) countBitmaps(reader, at + 8);
    at += 8 + Math.ceil(length / 8) * 8;
  }
}

function countBitmaps(reader: Reader, extensionAt: number): void {
  const { bytes, clusterBytes } = reader;
  const directoryBytes = Number(bytes.u64(extensionAt + 8));
  const directoryAt = Number(bytes.u64(extensionAt + 16));
  count(reader, BigInt(directoryAt), directoryBytes, 'bitmap directory');
  let at = directoryAt;
  for (let i = 0; i < bytes.u32(extensionAt); i++) {
    const tableAt = bytes.u64(at);
    const entries = bytes.u32(at + 8);
    count(reader, tableAt, entries * 8, 'bitmap table');
    for (let entry = 0; entry < entries; entry++) {
      const data = bytes.u64(Number(tableAt) + entry * 8) & MASK_OFFSET;
      if (data !== 0n) count(reader, data, clusterBytes, 'bitmap data');
    }
    at += Math.ceil((24 + bytes.u32(at + 20) + bytes.u16(at + 18)) / 8) * 8;
  }
}

function readL1(reader: Reader, at: bigint, entries: number, what: string): Map<number, string> {
  const { bytes, clusterBytes, extended } = reader;
  const map = new Map<number, string>();
  if (entries > 0) count(reader, at, entries * 8, `${what} L1`);
  const step = extended ? 16 : 8;
  for (let i = 0; i < entries; i++) {
    const l2 = bytes.u64(Number(at) + i * 8) & MASK_OFFSET;
    if (l2 === 0n) continue;
    count(reader, l2, clusterBytes, `${what} L2`);
    for (let j = 0; j < clusterBytes / step; j++) {
      const entryAt = Number(l2) + j * step;
      if (bytes.isZero(entryAt, step)) continue;
      const descriptor = bytes.u64(entryAt) & ~BIT_COPIED;
      const bitmap = extended ? bytes.u64(entryAt + 8) : 0n;
      map.set(i * (clusterBytes / step) + j, `${descriptor}/${bitmap}`);
      countDescriptor(reader, descriptor, `${what} data`);
    }
  }
  return map;
}

function countDescriptor(reader: Reader, descriptor: bigint, what: string): void {
  if ((descriptor & BIT_COMPRESSED) === 0n) {
    const offset = descriptor & MASK_OFFSET;
    if (offset !== 0n) countData(reader, offset, reader.clusterBytes, what);
    return;
  }
  const x = BigInt(62 - (reader.clusterBits - 8));
  const offset = descriptor & (2n ** x - 1n);
  const additionalSectors = (descriptor & (BIT_COMPRESSED - 1n)) >> x;
  const end = (offset / 512n + 1n + additionalSectors) * 512n;
  countData(reader, offset, Number(end - offset), `${what}, compressed`);
}

function readSnapshots(reader: Reader): (PlainDisk & { id: string; name: string })[] {
  const { bytes, version } = reader;
  const snapshots: (PlainDisk & { id: string; name: string })[] = [];
  const tableAt = Number(bytes.u64(64));
  let at = tableAt;
  for (let i = 0; i < bytes.u32(60); i++) {
    const extraBytes = bytes.u32(at + 36);
    const [idBytes, nameBytes] = [bytes.u16(at + 12), bytes.u16(at + 14)];
    if (version === 3 && extraBytes < 16) {
      reader.findings.push(`entry ${i}: no extra data up to byte 55`);
    }
    const idAt = at + 40 + extraBytes;
    snapshots.push({
      id: bytes.hex(idAt, idBytes),
      name: bytes.hex(idAt + idBytes, nameBytes),
      sizeBytes: extraBytes >= 16 ? bytes.u64(at + 48) : undefined,
      map: readL1(reader, bytes.u64(at), bytes.u32(at + 8), `snapshot ${i}`),
    });
    at += Math.ceil((40 + extraBytes + idBytes + nameBytes) / 8) * 8;
  }
  if (at > tableAt) count(reader, BigInt(tableAt), at - tableAt, 'snapshot table');
  return snapshots;
}

/** Bit 63 must be right in everything that the active L1 reaches. */
function checkCopied(reader: Reader, l1At: bigint, entries: number): void {
  const { bytes, clusterBytes, extended, stored } = reader;
  const expectFlag = (word: bigint, what: string): void => {
    if ((word & BIT_COMPRESSED) !== 0n) return;
    const offset = word & MASK_OFFSET;
    const alone = offset !== 0n && stored[Number(offset) / clusterBytes] === 1n;
    if (((word & BIT_COPIED) !== 0n) === alone) return;
    reader.findings.push(`${what}: COPIED is wrong in ${word.toString(16)}`);
  };
  for (let i = 0; i < entries; i++) {
    const word = bytes.u64(Number(l1At) + i * 8);
    expectFlag(word, `active L1 entry ${i}`);
    const l2 = Number(word & MASK_OFFSET);
    if (l2 === 0) continue;
    for (let at = l2; at < l2 + clusterBytes; at += extended ? 16 : 8) {
      if (!bytes.isZero(at, 8)) expectFlag(bytes.u64(at), `active L2 entry at ${at}`);
    }
  }
}
