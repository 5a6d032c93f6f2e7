/**
 * Judges an image without the engine: counts every reference anew in a Map, compares with each
 * stored refcount, looks at the COPIED flags, and reads what every disk in the image holds.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  compressedRange,
  entryOffset,
  Fields,
  readPlain,
  Unreadable,
  type PlainImage,
} from './crash-judge-image.js';

export interface Verdict {
  /** Everything that is worse than a leak, in words; empty for a sound image. */
  readonly corruptions: readonly string[];
  /** By host cluster: how much higher the stored refcount is than the references. */
  readonly leaks: ReadonlyMap<number, number>;
}

/** What an entry of an L2 table means, with the reference that it takes. */
interface Mapping {
  readonly index: number;
  readonly kind: 'normal' | 'zero' | 'compressed';
  readonly at: number;
  readonly bytes: number;
  readonly copied: boolean;
  /** The subcluster bitmap, 0 without extended L2 entries. */
  readonly bitmap: string;
}

const MAX_FINDINGS = 20;

/** The whole check. An image that can't be read is one corruption. */
export function checkPlain(file: Uint8Array): Verdict {
  let image: PlainImage;
  try {
    image = readPlain(file);
    return new Check(image).run();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { corruptions: [`unreadable: ${error.message}`], leaks: new Map() };
  }
}

class Check {
  readonly #image: PlainImage;
  readonly #fields: Fields;
  readonly #fileClusters: number;
  readonly #references = new Map<number, number>();
  readonly #tables = new Map<number, readonly Mapping[]>();
  readonly #corruptions: string[] = [];
  /** Refcount blocks: they are metadata, and each may have one reference alone. */
  readonly #blocks: number[] = [];

  constructor(image: PlainImage) {
    this.#image = image;
    this.#fields = new Fields(image.file);
    this.#fileClusters = Math.ceil(image.file.length / image.clusterBytes);
  }

  run(): Verdict {
    const { version, clusterBytes } = this.#image;
    this.#own('header', 0, clusterBytes);
    const { snapshotTableAt, snapshotTableBytes, snapshots, others, bitmapTables } = this.#image;
    this.#own('snapshot table', snapshotTableAt, snapshotTableBytes);
    for (const { name, at, bytes } of [...others, ...bitmapTables]) this.#own(name, at, bytes);
    this.#countBitmaps();
    this.#countL1('active L1', this.#image.l1At, this.#image.l1Entries);
    for (const { l1At, l1Entries, at } of snapshots) {
      this.#countL1('inactive L1', l1At, l1Entries);
      if (version === 3 && this.#fields.u32(at + 36) < 16) {
        this.#find(`the snapshot table entry at ${at} lacks extra data`);
      }
    }
    this.#countRefcountStructures();
    const stored = this.#readStored();
    const leaks = this.#compare(stored);
    this.#checkCopied(stored);
    return { corruptions: this.#corruptions, leaks };
  }

  #find(what: string): void {
    if (this.#corruptions.length < MAX_FINDINGS) this.#corruptions.push(what);
  }

  /** Adds a reference to every cluster of a region, which must be in the file and aligned. */
  #own(name: string, at: number, bytes: number): void {
    if (bytes === 0) return;
    const { clusterBytes } = this.#image;
    if (at % clusterBytes !== 0) this.#find(`${name} at ${at} is misaligned`);
    this.#refer(name, at, bytes);
  }

  #refer(name: string, at: number, bytes: number): void {
    const { clusterBytes } = this.#image;
    const first = Math.floor(at / clusterBytes);
    const last = Math.floor((at + bytes - 1) / clusterBytes);
    if (last >= this.#fileClusters) {
      this.#find(`${name} at ${at} reaches past the end of the file`);
      return;
    }
    for (let cluster = first; cluster <= last; cluster++) {
      this.#references.set(cluster, (this.#references.get(cluster) ?? 0) + 1);
    }
  }

  #countBitmaps(): void {
    for (const table of this.#image.bitmapTables) {
      for (let at = table.at; at < table.at + table.bytes; at += 8) {
        const offset = entryOffset(this.#fields.u32(at), this.#fields.u32(at + 4));
        if (offset !== 0) this.#own('bitmap data', offset, this.#image.clusterBytes);
      }
    }
  }

  #countL1(name: string, l1At: number, entries: number): void {
    this.#own(name, l1At, entries * 8);
    if (l1At + entries * 8 > this.#fileClusters * this.#image.clusterBytes) return;
    for (const { high, low, at } of this.#entries(l1At, entries)) {
      const offset = entryOffset(high, low);
      if ((high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0) {
        this.#find(`the ${name} entry at ${at} has reserved bits`);
      }
      if (offset === 0) {
        if (high !== 0) this.#find(`the ${name} entry at ${at} has flags but no offset`);
        continue;
      }
      this.#own('L2 table', offset, this.#image.clusterBytes);
      for (const { kind, at: data, bytes } of this.#mappings(offset)) {
        if (this.#image.externalDataFile) continue;
        if (kind === 'compressed') this.#refer('compressed data', data, bytes);
        else if (data !== 0) this.#own('data', data, bytes);
      }
    }
  }

  /** The non-zero entries of a table; what lies past the end of the file is zero. */
  *#entries(
    tableAt: number,
    entries: number,
  ): Generator<{ index: number; at: number; high: number; low: number }> {
    const { file } = this.#image;
    const there = Math.min(entries, Math.floor((file.length - tableAt) / 8));
    for (let index = 0; index < there; index++) {
      const at = tableAt + index * 8;
      const high = this.#fields.u32(at);
      const low = this.#fields.u32(at + 4);
      if (high !== 0 || low !== 0) yield { index, at, high, low };
    }
  }

  #mappings(tableAt: number): readonly Mapping[] {
    const known = this.#tables.get(tableAt);
    if (known !== undefined) return known;
    const mappings = mappingsOf(this.#image, this.#fields, tableAt, (what) => {
      this.#find(what);
    });
    this.#tables.set(tableAt, mappings);
    return mappings;
  }

  #countRefcountStructures(): void {
    const { refcountTableAt, refcountTableClusters, clusterBytes } = this.#image;
    this.#own('refcount table', refcountTableAt, refcountTableClusters * clusterBytes);
    const entries = (refcountTableClusters * clusterBytes) / 8;
    for (const { index, at, high, low } of this.#entries(refcountTableAt, entries)) {
      const offset = entryOffset(high, low);
      if ((high & 0xff00_0000) !== 0 || (low & 0x1ff) !== 0 || offset === 0) {
        this.#find(`the refcount table entry at ${at} has reserved bits`);
      }
      this.#own('refcount block', offset, clusterBytes);
      this.#blocks[index] = offset;
    }
  }

  /** All stored refcounts that are not 0. */
  #readStored(): Map<number, number> {
    const { clusterBytes, refcountBits, file } = this.#image;
    const stored = new Map<number, number>();
    const entries = (clusterBytes * 8) / refcountBits;
    this.#blocks.forEach((blockAt, index) => {
      const block = new Uint8Array(clusterBytes);
      block.set(file.subarray(blockAt, blockAt + clusterBytes));
      const view = new DataView(block.buffer);
      for (let i = 0; i < entries; i++) {
        const count = storedAt(view, i, refcountBits);
        if (count !== 0) stored.set(index * entries + i, count);
      }
    });
    return stored;
  }

  #compare(stored: ReadonlyMap<number, number>): Map<number, number> {
    const leaks = new Map<number, number>();
    for (const [cluster, count] of this.#references) {
      const has = stored.get(cluster) ?? 0;
      if (has < count) {
        this.#find(`cluster ${cluster} has ${count} references and a refcount of ${has}`);
      }
    }
    for (const [cluster, has] of stored) {
      const surplus = has - (this.#references.get(cluster) ?? 0);
      if (surplus > 0) leaks.set(cluster, surplus);
    }
    for (const at of this.#blocks) {
      if (at === undefined) continue;
      const count = stored.get(at / this.#image.clusterBytes);
      if (count !== 1) this.#find(`the refcount block at ${at} has a refcount of ${count}`);
    }
    return leaks;
  }

  /** COPIED in the active L1 and the L2 tables below it: set where the refcount is 1, else clear. */
  #checkCopied(stored: ReadonlyMap<number, number>): void {
    const { l1At, l1Entries, clusterBytes, externalDataFile } = this.#image;
    const isOne = (at: number): boolean => stored.get(Math.floor(at / clusterBytes)) === 1;
    for (const { at, high, low } of this.#entries(l1At, l1Entries)) {
      const tableAt = entryOffset(high, low);
      if (tableAt === 0) continue;
      const isSet = high >>> 31 === 1;
      if (isSet !== isOne(tableAt)) this.#find(`COPIED is ${wrong(isSet)} in the L1 at ${at}`);
      if (externalDataFile) continue;
      for (const { index, kind, at: data, copied } of this.#mappings(tableAt)) {
        const wanted = kind !== 'compressed' && data !== 0 && isOne(data);
        if (copied === wanted) continue;
        this.#find(`COPIED is ${wrong(copied)} in entry ${index} of ${tableAt}`);
      }
    }
  }
}

/** A flag that is missing costs a copy; one that is set where a cluster is shared costs a snapshot. */
const wrong = (isSet: boolean): string => (isSet ? 'set, and should not be,' : 'missing');

/** One refcount. Above 2^53 it is rounded, which changes no comparison with a count of references. */
function storedAt(block: DataView, index: number, bits: number): number {
  switch (bits) {
    case 8:
      return block.getUint8(index);
    case 16:
      return block.getUint16(index * 2);
    case 32:
      return block.getUint32(index * 4);
    case 64:
      return block.getUint32(index * 8) * 2 ** 32 + block.getUint32(index * 8 + 4);
    default: {
      const perByte = 8 / bits;
      const byte = block.getUint8(Math.floor(index / perByte));
      return (byte >> ((index % perByte) * bits)) & (2 ** bits - 1);
    }
  }
}

function mappingsOf(
  image: PlainImage,
  fields: Fields,
  tableAt: number,
  find: (what: string) => void,
): readonly Mapping[] {
  const { clusterBytes, clusterBits, l2EntryBytes, zeroFlag, file } = image;
  const mappings: Mapping[] = [];
  const end = Math.min(tableAt + clusterBytes, file.length - l2EntryBytes + 1);
  for (let entryAt = tableAt; entryAt < end; entryAt += l2EntryBytes) {
    const high = fields.u32(entryAt);
    const low = fields.u32(entryAt + 4);
    const bitmap =
      l2EntryBytes === 16 ? `${fields.u32(entryAt + 8)}:${fields.u32(entryAt + 12)}` : '';
    if (high === 0 && low === 0 && (bitmap === '' || bitmap === '0:0')) continue;
    const index = (entryAt - tableAt) / l2EntryBytes;
    const copied = high >>> 31 === 1;
    if ((high & 0x4000_0000) !== 0) {
      const range = compressedRange(high, low, clusterBits);
      if (range.at >= 2 ** 56) find(`the compressed entry at ${entryAt} has reserved bits`);
      mappings.push({ index, kind: 'compressed', ...range, copied, bitmap });
      continue;
    }
    const isZero = zeroFlag && (low & 1) === 1;
    const reserved = (high & 0x3f00_0000) !== 0 || (low & (zeroFlag ? 0x1fe : 0x1ff)) !== 0;
    if (reserved) find(`the L2 entry at ${entryAt} has reserved bits`);
    const at = entryOffset(high, low);
    if (at === 0 && copied && !image.externalDataFile)
      find(`the L2 entry at ${entryAt} has COPIED but no offset`);
    const kind = isZero ? 'zero' : 'normal';
    mappings.push({ index, kind, at, bytes: clusterBytes, copied, bitmap });
  }
  return mappings;
}

/** What one disk of the image holds. Equal texts: the guest reads the same. */
export interface Content {
  readonly facts: string;
  /** SHA-1 over everything that is mapped within the disk size. */
  readonly disk: string;
  /** The same with what is mapped behind the disk, where a saved machine lies. */
  readonly whole: string;
}

export interface Contents {
  readonly active: Content;
  readonly snapshots: readonly Content[];
}

/**
 * Reads every mapped guest cluster of the active disk and of every snapshot.
 *
 * @throws Unreadable.
 */
export function contentsOf(file: Uint8Array): Contents {
  const image = readPlain(file);
  const fields = new Fields(file);
  // Snapshots share most of their tables: what hangs below each one is read once.
  const known = new Map<number, Buffer>();
  const digestOf = (tableAt: number): Buffer => {
    const digest = known.get(tableAt) ?? tableDigest(image, fields, tableAt);
    known.set(tableAt, digest);
    return digest;
  };
  const read = (l1At: number, l1Entries: number, sizeBytes: number, facts: string): Content => {
    const coverage = (image.clusterBytes / image.l2EntryBytes) * image.clusterBytes;
    const diskEntries = Math.ceil(sizeBytes / coverage);
    const disk = createHash('sha1');
    const whole = createHash('sha1');
    for (let i = 0; i < l1Entries && l1At + i * 8 + 8 <= file.length; i++) {
      const tableAt = entryOffset(fields.u32(l1At + i * 8), fields.u32(l1At + i * 8 + 4));
      if (tableAt === 0) continue;
      const digest = digestOf(tableAt);
      if (digest.length === 0) continue;
      whole.update(`${i}:`).update(digest);
      if (i < diskEntries) disk.update(`${i}:`).update(digest);
    }
    return { facts, disk: disk.digest('hex'), whole: whole.digest('hex') };
  };
  const { l1At, l1Entries, diskSizeBytes, snapshots } = image;
  return {
    active: read(l1At, l1Entries, diskSizeBytes, String(diskSizeBytes)),
    snapshots: snapshots.map((snapshot) =>
      read(snapshot.l1At, snapshot.l1Entries, snapshot.diskSizeBytes, snapshot.facts),
    ),
  };
}

/** Digest of all that an L2 table maps; empty when it maps nothing. */
function tableDigest(image: PlainImage, fields: Fields, tableAt: number): Buffer {
  const mappings = mappingsOf(image, fields, tableAt, () => undefined);
  if (mappings.length === 0) return Buffer.alloc(0);
  const hash = createHash('sha1');
  for (const mapping of mappings) addMapping(hash, mapping, image);
  return hash.digest();
}

function addMapping(hash: Hash, mapping: Mapping, image: PlainImage): void {
  const { index, kind, at, bytes, bitmap } = mapping;
  hash.update(`${index} ${kind} ${bitmap};`);
  if (kind === 'zero' || image.externalDataFile || at === 0) return;
  const there = image.file.subarray(at, at + bytes);
  hash.update(there);
  // What lies past the end of the file reads as zeros, and is there once the file has grown.
  if (there.length < bytes) hash.update(new Uint8Array(bytes - there.length));
}
