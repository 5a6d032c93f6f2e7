/** Where the fields of an image lie, as far as the image can be made sense of. Throws nothing. */
import {
  BITMAP_ENTRY,
  BITMAPS_EXTENSION,
  ENCRYPTION_POINTER,
  EXTENSION_TYPE,
  HEADER_V2,
  HEADER_V3,
  SNAPSHOT_ENTRY,
  SNAPSHOT_EXTRA,
} from '../../../src/qcow2/spec.js';
import type { Layout } from '../../../src/base/struct.js';
import { addVmStates } from './vm-fields.js';

/** A number in the file: big-endian, of 1, 2, 4 or 8 bytes. */
export interface Field {
  readonly at: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly name: string;
}

/** Fields by what they belong to: a kind is chosen first, so that no long table has them all. */
export type FieldMap = ReadonlyMap<string, readonly Field[]>;

const WIDTH = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;
/** Entries of one kind that are listed. */
const ENTRIES_MAX = 512;

/** Numbers of a file; zero behind its end. */
class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  u16 = (at: number): number => (this.has(at, 2) ? this.#view.getUint16(at) : 0);
  u32 = (at: number): number => (this.has(at, 4) ? this.#view.getUint32(at) : 0);
  /** Rounded above 2^53, which no place in a file is. */
  u64 = (at: number): number => this.u32(at) * 2 ** 32 + this.u32(at + 4);
  /** A table entry without its flags. */
  pointer = (at: number): number =>
    (this.u32(at) & 0xff_ffff) * 2 ** 32 + ((this.u32(at + 4) & 0xffff_fe00) >>> 0);
  has(at: number, bytes: number): boolean {
    return at >= 0 && at + bytes <= this.bytes.length;
  }
}

class Mapper {
  readonly kinds = new Map<string, Field[]>();
  readonly file: Reader;
  constructor(file: Reader) {
    this.file = file;
  }

  add(kind: string, at: number, bytes: Field['bytes'], name: string): void {
    const fields = this.kinds.get(kind) ?? [];
    if (fields.length >= ENTRIES_MAX || !this.file.has(at, bytes)) return;
    this.kinds.set(kind, fields);
    fields.push({ at, bytes, name });
  }

  layout(kind: string, layout: Layout, base: number): void {
    for (const [name, { at, type }] of Object.entries(layout)) {
      this.add(kind, base + at, WIDTH[type], `${kind}: ${name}`);
    }
  }

  /** A table of 64-bit entries, the used ones first; where its pointers lead. */
  table(kind: string, at: number, entries: number, stride = 8): readonly number[] {
    const inFile = Math.max(
      0,
      Math.min(entries, Math.floor((this.file.bytes.length - at) / stride)),
    );
    const places = Array.from({ length: Math.min(inFile, 8192) }, (_, i) => at + i * stride);
    const used = places.filter((place) => this.file.u64(place) !== 0);
    const unused = places.filter((place) => this.file.u64(place) === 0).slice(0, 4);
    for (const place of [...used.slice(0, 64), ...unused]) {
      this.add(kind, place, 8, `${kind} entry`);
      if (stride === 16) this.add('subcluster bitmap', place + 8, 8, 'subcluster bitmap');
    }
    return [...new Set(used.map((place) => this.file.pointer(place)).filter((to) => to > 0))];
  }
}

/** All fields that can be found. */
export function fieldsOf(bytes: Uint8Array): FieldMap {
  const file = new Reader(bytes);
  const map = new Mapper(file);
  const version = file.u32(4);
  map.layout('header', HEADER_V2, 0);
  if (version >= 3) {
    map.layout('header', HEADER_V3, 0);
    map.add('header', 104, 1, 'header: compression type');
  }
  const clusterBits = Math.min(Math.max(file.u32(20), 9), 21);
  const clusterBytes = 2 ** clusterBits;
  const isExtended = version >= 3 && (file.u32(76) & 16) !== 0;
  addExtensions(map, version >= 3 ? file.u32(100) : 72, clusterBytes);
  const l2s = new Set(map.table('active L1', file.u64(40), file.u32(36)));
  addSnapshots(map, l2s);
  const stride = isExtended ? 16 : 8;
  for (const at of [...l2s].slice(0, 16)) map.table('L2', at, clusterBytes / stride, stride);
  const blocks = map.table('refcount table', file.u64(48), (file.u32(56) * clusterBytes) / 8);
  for (const at of blocks.slice(0, 4)) addBlock(map, at, clusterBytes);
  addVmStates(bytes, (...field) => {
    map.add(...field);
  });
  return map.kinds;
}

function addExtensions(map: Mapper, from: number, clusterBytes: number): void {
  const { file } = map;
  for (let at = from, i = 0; i < 16 && at + 8 <= clusterBytes && file.u32(at) !== 0; i++) {
    const [type, length] = [file.u32(at), file.u32(at + 4)];
    map.add('extension', at, 4, 'extension: type');
    map.add('extension', at + 4, 4, 'extension: length');
    if (type === EXTENSION_TYPE.bitmaps) {
      map.layout('bitmaps extension', BITMAPS_EXTENSION, at + 8);
      addBitmaps(map, file.u64(at + 24), file.u32(at + 8));
    } else if (type === EXTENSION_TYPE.encryptionHeader) {
      map.layout('encryption extension', ENCRYPTION_POINTER, at + 8);
      addLuks(map, file.u64(at + 8));
    } else {
      for (let i = 0; i < Math.min(length, 48); i++)
        map.add('extension data', at + 8 + i, 1, 'text');
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  const [nameAt, nameBytes] = [file.u64(8), file.u32(16)];
  for (let i = 0; nameAt > 0 && i < Math.min(nameBytes, 32); i++) {
    map.add('backing name', nameAt + i, 1, 'backing name');
  }
}

function addBitmaps(map: Mapper, from: number, count: number): void {
  const { file } = map;
  for (let i = 0, at = from; i < Math.min(count, 8) && file.has(at, 24); i++) {
    map.layout('bitmap', BITMAP_ENTRY, at);
    const nameBytes = file.u16(at + 18);
    for (let k = 0; k < Math.min(nameBytes, 8); k++) map.add('bitmap name', at + 24 + k, 1, 'name');
    map.table('bitmap table', file.u64(at), file.u32(at + 8));
    at += Math.ceil((24 + file.u32(at + 20) + nameBytes) / 8) * 8;
  }
}

function addSnapshots(map: Mapper, l2s: Set<number>): void {
  const { file } = map;
  let at = file.u64(64);
  const from = at;
  for (let i = 0; i < Math.min(file.u32(60), 16) && file.has(at, 40); i++) {
    map.layout('snapshot', SNAPSHOT_ENTRY, at);
    map.layout('snapshot extra', SNAPSHOT_EXTRA, at + 40);
    const extraBytes = file.u32(at + 36);
    const texts = file.u16(at + 12) + file.u16(at + 14);
    for (let k = 0; k < Math.min(texts, 24); k++) {
      map.add('snapshot text', at + 40 + extraBytes + k, 1, 'id or name');
    }
    for (const l2 of map.table('inactive L1', file.u64(at), file.u32(at + 8))) l2s.add(l2);
    at = from + Math.ceil((at - from + 40 + extraBytes + texts) / 8) * 8;
  }
}

/** LUKS1 on-disk format, figures 1 and 2. */
function addLuks(map: Mapper, at: number): void {
  for (let i = 0; i < 104; i++) map.add('LUKS names', at + i, 1, 'LUKS name');
  for (const field of [104, 108, 164]) map.add('LUKS', at + field, 4, `LUKS +${field}`);
  for (let slot = 0; slot < 8; slot++) {
    for (const field of [0, 4, 40, 44]) {
      map.add('LUKS', at + 208 + slot * 48 + field, 4, `LUKS slot ${slot} +${field}`);
    }
  }
}

function addBlock(map: Mapper, at: number, clusterBytes: number): void {
  for (let i = 0; i < Math.min(clusterBytes, 64); i++) {
    map.add('refcount block', at + i, 1, 'refcount');
  }
}

/** Host clusters that tables lie in, for pointers that lead where they should not. */
export function tablePlaces(bytes: Uint8Array, fields: FieldMap): readonly number[] {
  const clusterBytes = 2 ** Math.min(Math.max(new Reader(bytes).u32(20), 9), 21);
  const places = [...fields.values()].flatMap((list) =>
    list.slice(0, 8).map(({ at }) => Math.floor(at / clusterBytes) * clusterBytes),
  );
  return [...new Set(places)];
}
