import { decodeStruct, encodeStruct } from '../base/struct.js';
import { exactNumber } from '../base/words.js';
import { geometryOf, type Geometry } from './geometry.js';
import {
  AUTOCLEAR,
  COMPATIBLE,
  COMPRESSION_TYPE_AT,
  HEADER_V2,
  HEADER_V2_BYTES,
  HEADER_V3,
  HEADER_V3_BYTES,
  INCOMPATIBLE,
  MAGIC,
  REFCOUNT_ORDER_V2,
  SWITCH_END_V2,
  SWITCH_END_V3,
  SWITCH_FROM,
} from './spec.js';
import {
  HEADER_CHECKS,
  checkIdentity,
  misplacedTables,
  type HeaderTable,
  type MisplacedTables,
} from './validate.js';
import type { RawHeader } from './raw-header.js';

/** How guest data is encrypted. Metadata never is. Spec: Data encryption. */
export type EncryptionMethod = 'none' | 'aes' | 'luks';
/** How compressed clusters are packed; "zlib" is raw deflate. Spec: Additional fields. */
export type CompressionType = (typeof COMPRESSION_TYPES)[number];

export const COMPRESSION_TYPES = ['zlib', 'zstd'] as const;

/** Where an L1 table lies and how many 8-byte entries it has. */
export interface L1Ref {
  readonly at: number;
  readonly entries: number;
}

/** A header that passed every check: numbers with units, exact. */
export interface Header {
  readonly version: 2 | 3;
  readonly geometry: Geometry;
  /** Size of the active disk in bytes. */
  readonly diskSizeBytes: number;
  readonly encryption: EncryptionMethod;
  readonly compressionType: CompressionType;
  readonly activeL1: L1Ref;
  readonly refcountTable: { readonly at: number; readonly clusters: number };
  readonly snapshotTable: { readonly at: number; readonly count: number };
  /** Position of the backing name, `bytes` 0 when the image has no backing file. */
  readonly backingName: { readonly at: number; readonly bytes: number };
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly headerBytes: number;
  readonly dirty: boolean;
  readonly markedCorrupt: boolean;
  readonly externalDataFile: boolean;
  readonly extendedL2: boolean;
  readonly lazyRefcounts: boolean;
  /** The autoclear bit that says the bitmaps extension can be trusted. */
  readonly bitmapsConsistent: boolean;
  readonly rawExternalData: boolean;
}

/** The fields that an edit may change; written by one write inside the first sector. */
export interface SwitchFields {
  readonly diskSizeBytes: number;
  readonly activeL1: L1Ref;
  readonly refcountTable: { readonly at: number; readonly clusters: number };
  readonly snapshotTable: { readonly at: number; readonly count: number };
  /** Ignored in version 2, which has no feature words. */
  readonly autoclear: bigint;
  /** Undefined: as it is. */
  readonly incompatible?: bigint;
}

export function hasBit(word: bigint, bit: number): boolean {
  return (word & (1n << BigInt(bit))) !== 0n;
}

/**
 * Decodes a header. Total: any bytes of at least 8 decode, missing ones count as zero. Version 2
 * has no feature words: what follows byte 72 are extensions.
 */
export function decodeHeader(bytes: Uint8Array): RawHeader {
  const padded = new Uint8Array(COMPRESSION_TYPE_AT + 8);
  padded.set(bytes.subarray(0, padded.length));
  const common = decodeStruct(HEADER_V2, padded);
  if (common.version < 3) {
    return {
      ...common,
      incompatible: 0n,
      compatible: 0n,
      autoclear: 0n,
      refcountOrder: REFCOUNT_ORDER_V2,
      headerBytes: HEADER_V2_BYTES,
      compressionType: 0,
    };
  }
  const added = decodeStruct(HEADER_V3, padded);
  const compressionType = added.headerBytes > HEADER_V3_BYTES ? padded[COMPRESSION_TYPE_AT]! : 0;
  return { ...common, ...added, compressionType };
}

/**
 * Identifies, decodes, checks in QEMU's order, and narrows.
 *
 * @param bytes the first bytes of the file, at least 512 or all there are.
 * @throws QsnapError NOT_QCOW2, QCOW_VERSION_1, UNSUPPORTED_VERSION, HEADER_INVALID,
 *   UNSUPPORTED_FEATURE, TABLE_INVALID, LIMIT_EXCEEDED.
 * Spec: Header.
 */
export function parseHeader(bytes: Uint8Array, fileSizeBytes: number): Header {
  const raw = decodeHeader(bytes);
  checkIdentity(raw, MAGIC, fileSizeBytes);
  for (const check of HEADER_CHECKS) check(raw, bytes);
  return narrowHeader(raw);
}

/**
 * `parseHeader` for readers that go on although a table can't be where the header says. Such a table becomes an empty
 * one at offset 0.
 *
 * @throws QsnapError as `parseHeader`, but not about tables.
 */
export function parseHeaderAround(
  bytes: Uint8Array,
  fileSizeBytes: number,
): { readonly header: Header; readonly misplaced: MisplacedTables } {
  const raw = decodeHeader(bytes);
  checkIdentity(raw, MAGIC, fileSizeBytes);
  const misplaced = misplacedTables(raw, bytes);
  const fields = [...misplaced.keys()].map((table) => WITHOUT[table]);
  return { header: narrowHeader(Object.assign({}, raw, ...fields) as RawHeader), misplaced };
}

const WITHOUT: Readonly<Record<HeaderTable, Partial<RawHeader>>> = {
  refcountTable: { refcountTableAt: 0n, refcountTableClusters: 0 },
  snapshotTable: { snapshotTableAt: 0n, snapshotCount: 0 },
  activeL1: { l1At: 0n, l1Entries: 0 },
};

function narrowHeader(raw: RawHeader): Header {
  const extendedL2 = hasBit(raw.incompatible, INCOMPATIBLE['extended L2 entries']);
  const hasBacking = raw.backingNameAt !== 0n;
  return {
    version: raw.version === 2 ? 2 : 3,
    geometry: geometryOf(raw.clusterBits, raw.refcountOrder, extendedL2),
    diskSizeBytes: exactNumber(raw.sizeBytes, 'the disk size'),
    encryption: (['none', 'aes', 'luks'] as const)[raw.cryptMethod]!,
    compressionType: raw.compressionType === 0 ? 'zlib' : 'zstd',
    activeL1: { at: offsetField(raw.l1At, 'the active L1 offset'), entries: raw.l1Entries },
    refcountTable: {
      at: offsetField(raw.refcountTableAt, 'the refcount table offset'),
      clusters: raw.refcountTableClusters,
    },
    snapshotTable: {
      at: offsetField(raw.snapshotTableAt, 'the snapshot table offset'),
      count: raw.snapshotCount,
    },
    backingName: {
      at: exactNumber(raw.backingNameAt, 'the backing name offset'),
      bytes: hasBacking ? raw.backingNameBytes : 0,
    },
    incompatible: raw.incompatible,
    compatible: raw.compatible,
    autoclear: raw.autoclear,
    headerBytes: raw.headerBytes,
    dirty: hasBit(raw.incompatible, INCOMPATIBLE.dirty),
    markedCorrupt: hasBit(raw.incompatible, INCOMPATIBLE.corrupt),
    externalDataFile: hasBit(raw.incompatible, INCOMPATIBLE['external data file']),
    extendedL2,
    lazyRefcounts: hasBit(raw.compatible, COMPATIBLE['lazy refcounts']),
    bitmapsConsistent: hasBit(raw.autoclear, AUTOCLEAR.bitmaps),
    rawExternalData: hasBit(raw.autoclear, AUTOCLEAR['raw external data']),
  };
}

function offsetField(value: bigint, what: string): number {
  return exactNumber(value, what);
}

/**
 * The bytes of the switch: what goes to byte 24 of the file to make the new state the image's.
 * Fields that an edit never changes are taken from `headerSector` as they are.
 *
 * @param headerSector the image's first bytes, at least 96.
 */
export function encodeSwitch(
  version: 2 | 3,
  headerSector: Uint8Array,
  fields: SwitchFields,
): Uint8Array {
  const bytes = headerSector.slice(0, version === 2 ? SWITCH_END_V2 : SWITCH_END_V3);
  encodeStruct(
    HEADER_V2,
    {
      sizeBytes: BigInt(fields.diskSizeBytes),
      l1Entries: fields.activeL1.entries,
      l1At: BigInt(fields.activeL1.at),
      refcountTableAt: BigInt(fields.refcountTable.at),
      refcountTableClusters: fields.refcountTable.clusters,
      snapshotCount: fields.snapshotTable.count,
      snapshotTableAt: BigInt(fields.snapshotTable.at),
    },
    bytes,
  );
  if (version === 3) {
    const { autoclear, incompatible } = fields;
    encodeStruct(HEADER_V3, { autoclear }, bytes);
    if (incompatible !== undefined) encodeStruct(HEADER_V3, { incompatible }, bytes);
  }
  return bytes.subarray(SWITCH_FROM);
}
