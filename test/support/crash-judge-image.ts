/**
 * A plain reader of qcow2 images that shares no code with the engine: it reads the file as the
 * specification prints it, one field at a time, and judges nothing but what it can't go on without.
 */

/** A stretch of metadata in the file. */
export interface PlainRegion {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
  /** Bytes of an entry, for tables of entries; 1 for what has none. */
  readonly entryBytes: number;
}

export interface PlainSnapshot {
  readonly l1At: number;
  readonly l1Entries: number;
  readonly diskSizeBytes: number;
  /** What people see of it, as one line: id, name, date, clock, VM state, size. */
  readonly facts: string;
  readonly nameHex: string;
  readonly at: number;
  readonly bytes: number;
}

export interface PlainImage {
  readonly file: Uint8Array;
  readonly version: number;
  readonly clusterBytes: number;
  readonly clusterBits: number;
  readonly refcountBits: number;
  readonly l2EntryBytes: number;
  readonly zeroFlag: boolean;
  readonly diskSizeBytes: number;
  readonly externalDataFile: boolean;
  readonly l1At: number;
  readonly l1Entries: number;
  readonly refcountTableAt: number;
  readonly refcountTableClusters: number;
  readonly snapshotTableAt: number;
  readonly snapshotTableBytes: number;
  readonly snapshots: readonly PlainSnapshot[];
  /** LUKS header, bitmap directory and bitmap tables, as far as they are to be trusted. */
  readonly others: readonly PlainRegion[];
  readonly bitmapTables: readonly PlainRegion[];
}

/** What the plain reader can't make sense of. */
export class Unreadable extends Error {}

const L1_ENTRIES_MAX = 2 ** 22;
const BITMAPS_EXTENSION = 0x23852875;
const ENCRYPTION_EXTENSION = 0x0537be77;

function need(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new Unreadable(claim);
}

/** Big-endian numbers of a file that may end too early. */
export class Fields {
  readonly #view: DataView;
  constructor(file: Uint8Array) {
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  }

  u16(at: number): number {
    need(at + 2 <= this.#view.byteLength, `a field at ${at} past the end`);
    return this.#view.getUint16(at);
  }

  u32(at: number): number {
    need(at + 4 <= this.#view.byteLength, `a field at ${at} past the end`);
    return this.#view.getUint32(at);
  }

  u64(at: number): number {
    const value = this.u32(at) * 2 ** 32 + this.u32(at + 4);
    need(Number.isSafeInteger(value), `the 64-bit field at ${at} is ${value}`);
    return value;
  }
}

/**
 * Reads header, snapshot table and bitmap directory.
 *
 * @throws Unreadable.
 */
export function readPlain(file: Uint8Array): PlainImage {
  const fields = new Fields(file);
  need(fields.u32(0) === 0x514649fb, 'the magic');
  const version = fields.u32(4);
  need(version === 2 || version === 3, `version ${version}`);
  const clusterBits = fields.u32(20);
  need(clusterBits >= 9 && clusterBits <= 21, `cluster_bits ${clusterBits}`);
  const incompatible = version === 3 ? fields.u64(72) : 0;
  need(incompatible < 32, `incompatible features ${incompatible}`);
  const refcountOrder = version === 3 ? fields.u32(96) : 4;
  need(refcountOrder <= 6, `refcount_order ${refcountOrder}`);
  const extended = (incompatible & 16) !== 0;
  const image = {
    file,
    version,
    clusterBits,
    clusterBytes: 2 ** clusterBits,
    refcountBits: 2 ** refcountOrder,
    l2EntryBytes: extended ? 16 : 8,
    zeroFlag: version === 3 && !extended,
    diskSizeBytes: fields.u64(24),
    externalDataFile: (incompatible & 4) !== 0,
    l1Entries: fields.u32(36),
    l1At: fields.u64(40),
    refcountTableAt: fields.u64(48),
    refcountTableClusters: fields.u32(56),
    snapshotTableAt: fields.u64(64),
  };
  need(image.l1Entries <= L1_ENTRIES_MAX, `l1_size ${image.l1Entries}`);
  need(image.refcountTableClusters * image.clusterBytes <= 2 ** 23, 'refcount table size');
  const { snapshots, bytes } = readSnapshots(fields, image);
  const { others, bitmapTables } = readExtensions(fields, image);
  return { ...image, snapshots, snapshotTableBytes: bytes, others, bitmapTables };
}

type Base = Pick<
  PlainImage,
  'file' | 'version' | 'clusterBytes' | 'diskSizeBytes' | 'snapshotTableAt'
>;

function readSnapshots(
  fields: Fields,
  image: Base,
): { snapshots: readonly PlainSnapshot[]; bytes: number } {
  const count = fields.u32(60);
  need(count <= 65_536, `${count} snapshots`);
  const snapshots: PlainSnapshot[] = [];
  let at = image.snapshotTableAt;
  for (let i = 0; i < count; i++) {
    const extra = fields.u32(at + 36);
    need(extra <= 1024, `${extra} bytes of extra data`);
    const [idBytes, nameBytes] = [fields.u16(at + 12), fields.u16(at + 14)];
    const idAt = at + 40 + extra;
    const end = idAt + idBytes + nameBytes;
    need(end <= image.file.length, 'the snapshot table ends past the file');
    const l1Entries = fields.u32(at + 8);
    need(l1Entries <= L1_ENTRIES_MAX, `an L1 of ${l1Entries} entries`);
    const hex = (from: number, length: number): string =>
      Buffer.from(image.file.subarray(from, from + length)).toString('hex');
    const diskSizeBytes = extra >= 16 ? fields.u64(at + 48) : image.diskSizeBytes;
    const nameHex = hex(idAt + idBytes, nameBytes);
    const vmStateBytes = extra >= 8 ? fields.u64(at + 40) : fields.u32(at + 32);
    const icount = extra >= 24 ? hex(at + 56, 8) : 'f'.repeat(16);
    const facts = [hex(idAt, idBytes), nameHex, hex(at + 16, 16), vmStateBytes, icount];
    snapshots.push({
      l1At: fields.u64(at),
      l1Entries,
      diskSizeBytes,
      facts: [...facts, diskSizeBytes].join(' '),
      nameHex,
      at,
      bytes: end - at,
    });
    at = image.snapshotTableAt + Math.ceil((end - image.snapshotTableAt) / 8) * 8;
  }
  return { snapshots, bytes: at - image.snapshotTableAt };
}

function readExtensions(
  fields: Fields,
  image: Base,
): { others: readonly PlainRegion[]; bitmapTables: readonly PlainRegion[] } {
  const others: PlainRegion[] = [];
  const bitmapTables: PlainRegion[] = [];
  const backingAt = fields.u64(8);
  const limit = Math.min(backingAt === 0 ? image.clusterBytes : backingAt, image.file.length);
  const bitmapsTrusted = image.version === 3 && (fields.u32(92) & 1) === 1;
  let at = image.version === 3 ? fields.u32(100) : 72;
  while (at + 8 <= limit && fields.u32(at) !== 0) {
    const type = fields.u32(at);
    const length = fields.u32(at + 4);
    need(at + 8 + length <= limit, 'an extension past its area');
    if (type === ENCRYPTION_EXTENSION) {
      const header = { at: fields.u64(at + 8), bytes: fields.u64(at + 16) };
      others.push({ name: 'luks-header', ...header, entryBytes: 1 });
    }
    if (type === BITMAPS_EXTENSION && bitmapsTrusted) {
      const directory = { at: fields.u64(at + 24), bytes: fields.u64(at + 16) };
      others.push({ name: 'bitmap-directory', ...directory, entryBytes: 1 });
      bitmapTables.push(...readBitmapDirectory(fields, directory.at, fields.u32(at + 8)));
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return { others, bitmapTables };
}

function readBitmapDirectory(fields: Fields, from: number, count: number): PlainRegion[] {
  const tables: PlainRegion[] = [];
  let at = from;
  for (let i = 0; i < count; i++) {
    const bytes = fields.u32(at + 8) * 8;
    tables.push({ name: 'bitmap-table', at: fields.u64(at), bytes, entryBytes: 8 });
    at += Math.ceil((24 + fields.u32(at + 20) + fields.u16(at + 18)) / 8) * 8;
  }
  return tables;
}

/** The low 56 bits of a table entry without flags, from its two words. */
export function entryOffset(high: number, low: number): number {
  return (high & 0xff_ffff) * 2 ** 32 + ((low & 0xffff_fe00) >>> 0);
}

/** First byte and the number of bytes in whole sectors of a compressed cluster. */
export function compressedRange(
  high: number,
  low: number,
  clusterBits: number,
): { at: number; bytes: number } {
  const value = (BigInt(high & 0x3fff_ffff) << 32n) | BigInt(low);
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const at = Number(value & ((1n << offsetBits) - 1n));
  const sectors = Number(value >> offsetBits) + 1;
  return { at, bytes: Math.floor(at / 512) * 512 + sectors * 512 - at };
}

/** All metadata of an image with the names of the structures, for those who mean to damage it. */
export function metadataOf(image: PlainImage): PlainRegion[] {
  const { clusterBytes } = image;
  const fields = new Fields(image.file);
  const regions: PlainRegion[] = [
    { name: 'header', at: 0, bytes: Math.min(image.file.length, 112), entryBytes: 4 },
    { name: 'extensions', at: 72, bytes: Math.min(clusterBytes, 512) - 72, entryBytes: 4 },
    { name: 'active-l1', at: image.l1At, bytes: image.l1Entries * 8, entryBytes: 8 },
  ];
  const tableBytes = image.refcountTableClusters * clusterBytes;
  const usedTableBytes = Math.min(tableBytes, 64);
  const refcountTable = { at: image.refcountTableAt, bytes: usedTableBytes, entryBytes: 8 };
  regions.push({ name: 'refcount-table', ...refcountTable });
  for (const { at, bytes } of image.snapshots) {
    regions.push({ name: 'snapshot-table', at, bytes, entryBytes: 4 });
  }
  const l1s = [image, ...image.snapshots];
  for (const { l1At, l1Entries } of image.snapshots) {
    regions.push({ name: 'inactive-l1', at: l1At, bytes: l1Entries * 8, entryBytes: 8 });
  }
  const pointers = (at: number, entries: number): number[] => {
    const found: number[] = [];
    for (let i = 0; i < entries && at + i * 8 + 8 <= image.file.length; i++) {
      const offset = entryOffset(fields.u32(at + i * 8), fields.u32(at + i * 8 + 4));
      if (offset !== 0) found.push(offset);
    }
    return found;
  };
  const blocks = pointers(image.refcountTableAt, tableBytes / 8);
  for (const at of blocks) {
    const usedBytes = Math.ceil(((image.file.length / clusterBytes) * image.refcountBits) / 8);
    const bytes = Math.min(clusterBytes, Math.max(8, usedBytes));
    regions.push({ name: 'refcount-block', at, bytes, entryBytes: 1 });
  }
  const tables = new Set(l1s.flatMap(({ l1At, l1Entries }) => pointers(l1At, l1Entries)));
  for (const at of tables) {
    const entryBytes = image.l2EntryBytes;
    regions.push({ name: 'L2 table', at, bytes: clusterBytes, entryBytes });
  }
  regions.push(...image.others, ...image.bitmapTables);
  return regions.filter(({ at, bytes }) => bytes > 0 && at < image.file.length);
}
