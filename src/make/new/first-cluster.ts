import { encodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { encodeExtensions, type RawExtension } from '../../qcow2/encode-extensions.js';
import { featureNamesFor } from '../../qcow2/encode-feature-names.js';
import type { L1Ref } from '../../qcow2/header.js';
import {
  AUTOCLEAR,
  COMPATIBLE,
  COMPRESSION_TYPE_AT,
  ENCRYPTION_POINTER,
  ENCRYPTION_POINTER_BYTES,
  EXTENSION_TYPE,
  HEADER_V2,
  HEADER_V2_BYTES,
  HEADER_V3,
  HEADER_V3_BYTES_WRITTEN,
  INCOMPATIBLE,
  MAGIC,
} from '../../qcow2/spec.js';
import type { NewImageOptions } from './image-writer.js';
import { invalidOption } from './new-image.js';

/** What the header of a new image says beside its options. */
export interface NewHeader {
  readonly geometry: Geometry;
  readonly activeL1: L1Ref;
  readonly refcountTable: { readonly at: number; readonly clusters: number };
  /** An external data file: its name as bytes, and whether it is a raw disk by itself. */
  readonly dataFile?: { readonly name: Uint8Array; readonly raw: boolean } | undefined;
  /** Where the keys of an encrypted image begin in the file. */
  readonly keysAt?: number | undefined;
}

/**
 * The first cluster of a new image: header, extensions and backing name, in the order that QEMU
 * writes them. Shorter than a cluster; what follows is zeros.
 *
 * @throws QsnapError NEW_IMAGE_INVALID when the names don't fit into a cluster.
 * Spec: Header, Header extensions, Feature name table.
 */
export function encodeFirstCluster(options: NewImageOptions, header: NewHeader): Uint8Array {
  const { clusterBytes } = header.geometry;
  const backingName = options.backing?.name ?? new Uint8Array(0);
  const { value: most } = LIMITS.backingNameBytesMax;
  if (backingName.length > most) {
    const message = `a backing file name can't have ${backingName.length} bytes`;
    throw invalidOption('backing file name', message, { expected: `at most ${most} bytes` });
  }
  const extensions = extensionsOf(options, header);
  const headerBytes = options.version === 2 ? HEADER_V2_BYTES : HEADER_V3_BYTES_WRITTEN;
  const extensionBytes = extensions.reduce(
    (sum, { bytes }) => sum + 8 + roundUp(bytes.length, 8),
    0,
  );
  const nameAt = headerBytes + extensionBytes + 8;
  const end = nameAt + backingName.length;
  if (end > clusterBytes) {
    throw invalidOption('backing file name', `the names take ${end} bytes with the header`, {
      expected: `at most a cluster of ${clusterBytes} bytes`,
    });
  }
  const bytes = new Uint8Array(Math.max(end, 512));
  encodeFields(options, header, bytes);
  encodeExtensions(extensions, bytes, headerBytes);
  if (backingName.length > 0) {
    const place = { backingNameAt: BigInt(nameAt), backingNameBytes: backingName.length };
    encodeStruct(HEADER_V2, place, bytes);
    bytes.set(backingName, nameAt);
  }
  return bytes;
}

function encodeFields(options: NewImageOptions, header: NewHeader, bytes: Uint8Array): void {
  const { geometry, activeL1, refcountTable, dataFile } = header;
  encodeStruct(
    HEADER_V2,
    {
      magic: MAGIC,
      version: options.version,
      cryptMethod: { none: 0, aes: 1, luks: 2 }[options.encryption?.method ?? 'none'],
      clusterBits: geometry.clusterBits,
      sizeBytes: BigInt(options.diskSizeBytes),
      l1Entries: activeL1.entries,
      l1At: BigInt(activeL1.at),
      refcountTableAt: BigInt(refcountTable.at),
      refcountTableClusters: refcountTable.clusters,
    },
    bytes,
  );
  if (options.version === 2) return;
  const isZstd = options.compressionType === 'zstd';
  encodeStruct(
    HEADER_V3,
    {
      incompatible: bits(
        [dataFile !== undefined, INCOMPATIBLE['external data file']],
        [isZstd, INCOMPATIBLE['compression type']],
        [options.extendedL2, INCOMPATIBLE['extended L2 entries']],
      ),
      compatible: bits([options.lazyRefcounts, COMPATIBLE['lazy refcounts']]),
      autoclear: bits([dataFile?.raw === true, AUTOCLEAR['raw external data']]),
      refcountOrder: Math.log2(geometry.refcountBits),
      headerBytes: HEADER_V3_BYTES_WRITTEN,
    },
    bytes,
  );
  bytes[COMPRESSION_TYPE_AT] = isZstd ? 1 : 0;
}

function bits(...flags: readonly (readonly [isSet: boolean, bit: number])[]): bigint {
  return flags.reduce((word, [isSet, bit]) => (isSet ? word | (1n << BigInt(bit)) : word), 0n);
}

function extensionsOf(
  { version, backing, encryption }: NewImageOptions,
  { geometry, dataFile, keysAt = 0 }: NewHeader,
): RawExtension[] {
  const extensions: RawExtension[] = [];
  if (backing?.format !== undefined) {
    const bytes = new TextEncoder().encode(backing.format);
    extensions.push({ type: EXTENSION_TYPE.backingFormat, bytes });
  }
  if (dataFile !== undefined) {
    extensions.push({ type: EXTENSION_TYPE.dataFileName, bytes: dataFile.name });
  }
  if (encryption?.keys !== undefined) {
    const bytes = new Uint8Array(ENCRYPTION_POINTER_BYTES);
    const place = { at: BigInt(keysAt), bytes: BigInt(encryption.keys.length) };
    encodeStruct(ENCRYPTION_POINTER, place, bytes);
    extensions.push({ type: EXTENSION_TYPE.encryptionHeader, bytes });
  }
  if (version === 3) extensions.push(...featureNamesFor(geometry.clusterBytes));
  return extensions;
}
