/**
 * A plain reader of images in any state: what every disk reads, and who refers to which host cluster.
 * It shares no code with the engine, never throws, and mends nothing. What lies past the end of the
 * file is unreadable here, though QEMU reads zeros: bytes that are not there are not right by chance.
 */
import { constants, inflateRawSync } from 'node:zlib';
import {
  blockEntries,
  compressedClusters,
  layoutOf,
  refcountAt,
  type PlainLayout,
} from '../support/image-builder-layout.js';

/** What a guest cluster reads: its bytes, or undefined for zeros. */
export type Content = Uint8Array | undefined | 'unreadable';

/** An L2 entry as it is stored, and where. */
export interface Entry {
  /** Byte offset of the entry in the file. */
  readonly at: number;
  readonly high: number;
  readonly low: number;
  /** The subcluster bitmap of an extended entry: zeros, and what is allocated. */
  readonly zeroBits: number;
  readonly allocatedBits: number;
}

export type L2Table = ReadonlyMap<number, Entry>;

/** The active disk or a snapshot. Guest clusters of VM state follow those of the disk. */
export interface PlainDisk {
  /** `active`, or the position in the snapshot table. */
  readonly position: number | 'active';
  readonly id: string;
  readonly l1At: number;
  readonly l1Entries: number;
  readonly diskSizeBytes: number;
  /** Whether its L1 lies where one can. */
  readonly hasL1: boolean;
  /** By index in the L1: host offset and entries; an offset without entries is no table. */
  readonly tables: ReadonlyMap<number, { readonly at: number; readonly table?: L2Table }>;
}

const MAGIC = 0x5146_49fb;
const COMPRESSED = 0x4000_0000;
const SNAPSHOTS_MAX = 65_536;

export class PlainImage {
  readonly bytes: Uint8Array;
  readonly layout: PlainLayout;
  /** The active disk first. */
  readonly disks: readonly PlainDisk[];
  /** By host cluster: in how many ways the disks and the snapshot table lead to it. */
  readonly references = new Map<number, number>();
  readonly #view: DataView;
  readonly #l2s = new Map<number, L2Table>();
  readonly #unpacked = new Map<string, Content>();

  private constructor(bytes: Uint8Array, layout: PlainLayout) {
    this.bytes = bytes;
    this.layout = layout;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { l1At, l1Entries, diskSizeBytes } = layout;
    const active = { position: 'active', id: '', l1At, l1Entries, diskSizeBytes } as const;
    this.disks = [this.#disk(active), ...this.#snapshots()];
  }

  /** Undefined where the header is none. */
  static of(bytes: Uint8Array): PlainImage | undefined {
    if (bytes.length < 112) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const version = view.getUint32(4);
    const clusterBits = view.getUint32(20);
    if (view.getUint32(0) !== MAGIC || version < 2 || version > 3) return undefined;
    if (clusterBits < 9 || clusterBits > 21) return undefined;
    // Features beyond dirty, corrupt and extended L2 make no image of these.
    const feature = version === 3 ? view.getBigUint64(72) & ~0x13n : 0n;
    return feature === 0n ? new PlainImage(bytes, layoutOf(bytes)) : undefined;
  }

  get version(): number {
    return this.layout.version;
  }

  get clusterBytes(): number {
    return this.layout.clusterBytes;
  }

  get entriesPerL2(): number {
    return this.clusterBytes / (this.layout.extendedL2 ? 16 : 8);
  }

  /** The stored refcount of a host cluster; undefined where no block can be read. */
  refcount(cluster: number): number | undefined {
    const { refcountTableAt, refcountTableClusters, refcountBits } = this.layout;
    const block = Math.floor(cluster / blockEntries(this.layout));
    const isInTable = block < (refcountTableClusters * this.clusterBytes) / 8;
    if (!isInTable || refcountTableAt % this.clusterBytes !== 0) return undefined;
    const at = this.#offsetIn(refcountTableAt + block * 8);
    if (at === 0 || at % this.clusterBytes !== 0) return undefined;
    if (at + this.clusterBytes > this.bytes.length) return undefined;
    const index = cluster % blockEntries(this.layout);
    return Number(refcountAt(this.bytes, at, refcountBits, index));
  }

  /** The bytes of a host cluster as far as the file has them. */
  hostCluster(cluster: number): Uint8Array {
    return this.bytes.subarray(cluster * this.clusterBytes, (cluster + 1) * this.clusterBytes);
  }

  /** Guest clusters with an entry. */
  *mapped({ tables }: PlainDisk): Generator<number> {
    for (const [index, { table }] of tables) {
      for (const slot of table?.keys() ?? []) yield index * this.entriesPerL2 + slot;
    }
  }

  /** The entry of a guest cluster; undefined where it is zero or there is no table. */
  entry({ tables }: PlainDisk, guest: number): Entry | undefined {
    const found = tables.get(Math.floor(guest / this.entriesPerL2));
    return found?.table?.get(guest % this.entriesPerL2);
  }

  content(disk: PlainDisk, guest: number): Content {
    if (!disk.hasL1) return 'unreadable';
    const [index, slot] = [Math.floor(guest / this.entriesPerL2), guest % this.entriesPerL2];
    if (index >= disk.l1Entries) return undefined;
    if (!this.#isInFile(disk.l1At + index * 8, 8)) return 'unreadable';
    const found = disk.tables.get(index);
    if (found === undefined) return undefined;
    if (found.table === undefined) return 'unreadable';
    const entryBytes = this.clusterBytes / this.entriesPerL2;
    if (!this.#isInFile(found.at + slot * entryBytes, entryBytes)) return 'unreadable';
    const entry = found.table.get(slot);
    return entry === undefined ? undefined : this.#contentOf(entry);
  }

  #isInFile(at: number, bytes: number): boolean {
    return at + bytes <= this.bytes.length;
  }

  /** Host clusters that an entry leads to. */
  hostClusters({ high, low }: Entry): readonly number[] {
    if ((high & COMPRESSED) !== 0) {
      const { first, last } = compressedClusters(wide(high, low), this.layout);
      const most = Math.min(last, Math.ceil(this.bytes.length / this.clusterBytes));
      return Array.from({ length: Math.max(0, most - first + 1) }, (_, i) => first + i);
    }
    const at = offsetOf(high, low);
    return at === 0 || at % this.clusterBytes !== 0 ? [] : [at / this.clusterBytes];
  }

  #contentOf(entry: Entry): Content {
    const { high, low } = entry;
    if ((high & COMPRESSED) !== 0) return this.#unpack(high, low);
    const at = offsetOf(high, low);
    if (at % this.clusterBytes !== 0) return 'unreadable';
    if (this.layout.extendedL2) return this.#subclusters(entry, at);
    if ((low & 1) !== 0) return this.version >= 3 ? undefined : 'unreadable';
    if (at === 0) return undefined;
    if (!this.#isInFile(at, this.clusterBytes)) return 'unreadable';
    return this.bytes.subarray(at, at + this.clusterBytes);
  }

  #subclusters({ zeroBits, allocatedBits }: Entry, at: number): Content {
    if ((zeroBits & allocatedBits) !== 0) return 'unreadable';
    if (allocatedBits === 0) return undefined;
    if (at === 0) return 'unreadable';
    const content = new Uint8Array(this.clusterBytes);
    const bytes = this.clusterBytes / 32;
    for (let i = 0; i < 32; i++) {
      if (((allocatedBits >>> i) & 1) === 0) continue;
      const from = at + i * bytes;
      if (!this.#isInFile(from, bytes)) return 'unreadable';
      content.set(this.bytes.subarray(from, from + bytes), i * bytes);
    }
    return content;
  }

  #unpack(high: number, low: number): Content {
    const key = `${high},${low}`;
    if (this.#unpacked.has(key)) return this.#unpacked.get(key);
    const { at, sectorBytes } = compressedClusters(wide(high, low), this.layout);
    const end = Math.floor(at / 512) * 512 + sectorBytes;
    let content: Content = 'unreadable';
    try {
      const finish = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: this.clusterBytes };
      const unpacked = inflateRawSync(this.bytes.subarray(at, end), finish);
      if (unpacked.length === this.clusterBytes) content = unpacked;
    } catch {
      // What can't be unpacked is unreadable, which is what was assumed.
    }
    this.#unpacked.set(key, content);
    return content;
  }

  #disk(
    from: Pick<PlainDisk, 'position' | 'id' | 'l1At' | 'l1Entries' | 'diskSizeBytes'>,
  ): PlainDisk {
    const { l1At, l1Entries, diskSizeBytes } = from;
    const needed = Math.ceil(diskSizeBytes / (this.clusterBytes * this.entriesPerL2));
    const isEnough = from.position !== 'active' || l1Entries >= needed;
    const hasL1 = l1At % this.clusterBytes === 0 && l1At !== 0 && isEnough;
    const tables = new Map<number, { at: number; table?: L2Table }>();
    if (hasL1) {
      const inFile = Math.min(l1Entries, Math.max(0, Math.ceil((this.bytes.length - l1At) / 8)));
      for (let at = l1At; at < l1At + inFile * 8; at += this.clusterBytes) this.#refer(at);
      for (let i = 0; i < inFile; i++) {
        const at = this.#offsetIn(l1At + i * 8);
        if (at === 0) continue;
        const isTable = at % this.clusterBytes === 0;
        tables.set(i, isTable ? { at, table: this.#referToL2(at) } : { at });
      }
    }
    return { ...from, hasL1, tables };
  }

  #referToL2(at: number): L2Table {
    const table = this.#l2s.get(at) ?? this.#l2(at);
    this.#l2s.set(at, table);
    this.#refer(at);
    for (const entry of table.values()) {
      for (const cluster of this.hostClusters(entry)) this.#refer(cluster * this.clusterBytes);
    }
    return table;
  }

  #l2(tableAt: number): L2Table {
    const table = new Map<number, Entry>();
    const stride = this.layout.extendedL2 ? 16 : 8;
    const end = Math.min(tableAt + this.clusterBytes, this.bytes.length - stride + 1);
    for (let at = tableAt; at < end; at += stride) {
      const [high, low] = [this.#view.getUint32(at), this.#view.getUint32(at + 4)];
      const zeroBits = stride === 16 ? this.#view.getUint32(at + 8) : 0;
      const allocatedBits = stride === 16 ? this.#view.getUint32(at + 12) : 0;
      if ((high | low | zeroBits | allocatedBits) === 0) continue;
      table.set((at - tableAt) / stride, { at, high, low, zeroBits, allocatedBits });
    }
    return table;
  }

  #snapshots(): PlainDisk[] {
    const { snapshotCount, snapshotTableAt, diskSizeBytes } = this.layout;
    const found: PlainDisk[] = [];
    if (snapshotCount === 0 || snapshotTableAt % this.clusterBytes !== 0) return found;
    let at = snapshotTableAt;
    for (let i = 0; i < Math.min(snapshotCount, SNAPSHOTS_MAX); i++) {
      if (at + 40 > this.bytes.length) break;
      const [idBytes, nameBytes] = [this.#view.getUint16(at + 12), this.#view.getUint16(at + 14)];
      const extraBytes = this.#view.getUint32(at + 36);
      const end = at + 40 + extraBytes + idBytes + nameBytes;
      if (extraBytes > 1024 || end > this.bytes.length) break;
      const id = this.bytes.subarray(at + 40 + extraBytes, at + 40 + extraBytes + idBytes);
      const size = extraBytes >= 16 ? Number(this.#view.getBigUint64(at + 48)) : diskSizeBytes;
      found.push(
        this.#disk({
          position: i,
          id: Buffer.from(id).toString('latin1'),
          l1At: Number(this.#view.getBigUint64(at)),
          l1Entries: this.#view.getUint32(at + 8),
          diskSizeBytes: size,
        }),
      );
      at += Math.ceil((end - at) / 8) * 8;
    }
    for (let each = snapshotTableAt; each < at; each += this.clusterBytes) this.#refer(each);
    return found;
  }

  #refer(at: number): void {
    const cluster = Math.floor(at / this.clusterBytes);
    this.references.set(cluster, (this.references.get(cluster) ?? 0) + 1);
  }

  #offsetIn(at: number): number {
    if (at + 8 > this.bytes.length) return 0;
    return offsetOf(this.#view.getUint32(at), this.#view.getUint32(at + 4));
  }
}

const wide = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);

/** Bits 9 to 55 of an entry. */
export function offsetOf(high: number, low: number): number {
  return (high & 0x00ff_ffff) * 2 ** 32 + ((low & 0xffff_fe00) >>> 0);
}

/** Whether two guest clusters read the same; what can't be read is like nothing else. */
export function isSame(one: Content, other: Content): boolean {
  if (one === 'unreadable' || other === 'unreadable') return false;
  if (one === other) return true;
  if (one === undefined) return isZero(other!);
  return other === undefined ? isZero(one) : Buffer.compare(one, other) === 0;
}

const ZEROS = new Uint8Array(2 ** 21);

export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) === 0;
}
