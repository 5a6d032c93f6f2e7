import { encodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import type { HeaderExtension } from '../../qcow2/extensions.js';
import type { Geometry } from '../../qcow2/geometry.js';
import type { CompressionType, Header, L1Ref } from '../../qcow2/header.js';
import {
  COMPATIBLE,
  COMPRESSION_TYPE_AT,
  EXTENSION_TYPE,
  HEADER_V2,
  HEADER_V2_BYTES,
  HEADER_V3,
  HEADER_V3_BYTES,
  INCOMPATIBLE,
  MAGIC,
} from '../../qcow2/spec.js';

/** A header of version 3 with the compression type, as QEMU writes it. Spec: Additional fields. */
const HEADER_BYTES = 112;

/** What the header of a new image says that carries on another image. */
export interface CarriedHeader {
  readonly version: 2 | 3;
  readonly geometry: Geometry;
  /** The header of the other image, for its own length and what is kept of it. */
  readonly old: Pick<Header, 'version' | 'headerBytes' | 'encryption' | 'lazyRefcounts'>;
  readonly compressionType: CompressionType;
  readonly extensions: readonly HeaderExtension[];
  readonly backingNameBytes: Uint8Array | undefined;
  readonly diskSizeBytes: number;
  readonly activeL1: L1Ref;
  readonly snapshotTable: Header['snapshotTable'];
  readonly refcountTable: Header['refcountTable'];
}

/**
 * The first cluster of an image that carries on another one: its extensions and backing name as they were stored.
 *
 * @throws QsnapError LIMIT_EXCEEDED where they don't fit into a cluster.
 * Spec: Header, Header extensions.
 */
export function encodeCarriedHeader(carried: CarriedHeader): Uint8Array {
  const { version, geometry, old, extensions, backingNameBytes, activeL1 } = carried;
  const bytes = new Uint8Array(geometry.clusterBytes);
  const headerBytes = headerBytesOf(carried);
  const end = putExtensions(bytes, headerBytes, extensions, backingNameBytes?.length ?? 0);
  if (backingNameBytes !== undefined) bytes.set(backingNameBytes, end);
  encodeStruct(
    HEADER_V2,
    {
      magic: MAGIC,
      version,
      backingNameAt: BigInt(backingNameBytes === undefined ? 0 : end),
      backingNameBytes: backingNameBytes?.length ?? 0,
      clusterBits: geometry.clusterBits,
      sizeBytes: BigInt(carried.diskSizeBytes),
      cryptMethod: { none: 0, aes: 1, luks: 2 }[old.encryption],
      l1Entries: activeL1.entries,
      l1At: BigInt(activeL1.at),
      refcountTableAt: BigInt(carried.refcountTable.at),
      refcountTableClusters: carried.refcountTable.clusters,
      snapshotCount: carried.snapshotTable.count,
      snapshotTableAt: BigInt(carried.snapshotTable.at),
    },
    bytes,
  );
  if (version === 2) return bytes;
  const isExtended = geometry.l2EntryBytes === 16;
  const isZstd = carried.compressionType === 'zstd';
  const extended = isExtended ? 1n << BigInt(INCOMPATIBLE['extended L2 entries']) : 0n;
  const zstd = isZstd ? 1n << BigInt(INCOMPATIBLE['compression type']) : 0n;
  const lazy = old.lazyRefcounts ? 1n << BigInt(COMPATIBLE['lazy refcounts']) : 0n;
  const refcountOrder = Math.log2(geometry.refcountBits);
  const words = { incompatible: extended | zstd, compatible: lazy, autoclear: 0n };
  encodeStruct(HEADER_V3, { ...words, refcountOrder, headerBytes }, bytes);
  if (isZstd) bytes[COMPRESSION_TYPE_AT] = 1;
  return bytes;
}

/** What all of an image's own extensions had room behind has room for them again. */
function headerBytesOf({ version, old, compressionType }: CarriedHeader): number {
  if (version === 2) return HEADER_V2_BYTES;
  const isShort = old.version === 3 && old.headerBytes === HEADER_V3_BYTES;
  return isShort && compressionType !== 'zstd' ? HEADER_V3_BYTES : HEADER_BYTES;
}

/** Writes the extensions behind the header. Returns where the end marker ends. */
function putExtensions(
  bytes: Uint8Array,
  from: number,
  extensions: readonly HeaderExtension[],
  spareBytes: number,
): number {
  const view = new DataView(bytes.buffer);
  let at = from;
  for (const extension of extensions) {
    const type = typeOf(extension);
    const length = 8 + roundUp(extension.bytes.length, 8);
    const fits = at + length + 8 + spareBytes <= bytes.length;
    // Names of features are for people: a small cluster may have no room for them.
    if (!fits && extension.kind === 'feature-names') continue;
    if (!fits) throw noRoomInHeader();
    view.setUint32(at, type);
    view.setUint32(at + 4, extension.bytes.length);
    bytes.set(extension.bytes, at + 8);
    at += length;
  }
  return at + 8;
}

function typeOf(extension: HeaderExtension): number {
  switch (extension.kind) {
    case 'backing-format':
      return EXTENSION_TYPE.backingFormat;
    case 'feature-names':
      return EXTENSION_TYPE.featureNames;
    case 'encryption-header':
      return EXTENSION_TYPE.encryptionHeader;
    case 'bitmaps':
      return EXTENSION_TYPE.bitmaps;
    case 'data-file-name':
      return EXTENSION_TYPE.dataFileName;
    case 'unknown':
      return extension.type;
  }
}

function noRoomInHeader(): QsnapError {
  return new QsnapError('LIMIT_EXCEEDED', 'the header of the copy does not fit into a cluster', {
    structure: 'header',
  });
}
