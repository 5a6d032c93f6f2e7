import { decodeStruct } from '../base/struct.js';
import { isAligned } from '../base/units.js';
import { exactNumber, hex } from '../base/words.js';
import { QsnapError } from '../errors.js';
import { decodeFeatureNames, type FeatureName } from './features.js';
import type { Header } from './header.js';
import { LIMITS } from './limits.js';
import {
  BITMAPS_EXTENSION,
  BITMAPS_EXTENSION_BYTES,
  ENCRYPTION_POINTER,
  ENCRYPTION_POINTER_BYTES,
  EXTENSION_TYPE,
} from './spec.js';

/** A header extension. `bytes` is its data as stored, without padding. Spec: Header extensions. */
export type HeaderExtension = { readonly at: number; readonly bytes: Uint8Array } & (
  | { readonly kind: 'backing-format' }
  | { readonly kind: 'feature-names'; readonly names: readonly FeatureName[] }
  | { readonly kind: 'bitmaps'; readonly bitmaps: BitmapsExtension }
  | { readonly kind: 'encryption-header'; readonly header: EncryptionHeaderRef }
  | { readonly kind: 'data-file-name' }
  | { readonly kind: 'unknown'; readonly type: number }
);

/** Where the bitmap directory lies. Spec: Bitmaps extension. */
export interface BitmapsExtension {
  readonly bitmapCount: number;
  readonly directoryAt: number;
  readonly directoryBytes: number;
}

/** Where the LUKS header lies. Spec: Full disk encryption header pointer. */
export interface EncryptionHeaderRef {
  readonly at: number;
  readonly bytes: number;
}

/** The extensions in file order, and where they end (after the end marker, if there is one). */
export interface ExtensionArea {
  readonly extensions: readonly HeaderExtension[];
  readonly endAt: number;
}

function invalid(structure: string, at: number, message: string, expected: string): QsnapError {
  return new QsnapError('EXTENSION_INVALID', message, { structure, at, expected });
}

/**
 * Parses the header extensions. The area ends at the end marker, at the backing name, or with the
 * first cluster.
 *
 * @param cluster the first cluster of the image, or its head up to the end of the area.
 * @throws QsnapError EXTENSION_INVALID when an extension does not fit or contradicts itself.
 */
export function parseExtensions(cluster: Uint8Array, header: Header): ExtensionArea {
  const limit = header.backingName.at === 0 ? cluster.length : header.backingName.at;
  const view = new DataView(cluster.buffer, cluster.byteOffset, cluster.byteLength);
  const extensions: HeaderExtension[] = [];
  let at = header.headerBytes;
  while (at < limit) {
    if (at + 8 > limit) {
      const message = `a header extension begins at ${hex(at)}, and its area ends at ${hex(limit)}`;
      throw invalid('header extension', at, message, 'room for a type and a length, or none');
    }
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    // QEMU: the length of the end marker is judged like any other.
    if (length > limit - at - 8) {
      throw invalid(
        'header extension',
        at,
        `the header extension ${hex(type)} at ${hex(at)} claims ${length} bytes, past its area`,
        `at most ${limit - at - 8} bytes`,
      );
    }
    if (type === EXTENSION_TYPE.end) return { extensions, endAt: at + 8 };
    extensions.push(decodeExtension(type, at, cluster.slice(at + 8, at + 8 + length), header));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return { extensions, endAt: Math.min(at, limit) };
}

function decodeExtension(
  type: number,
  at: number,
  bytes: Uint8Array,
  header: Header,
): HeaderExtension {
  switch (type) {
    case EXTENSION_TYPE.backingFormat:
      return { kind: 'backing-format', at, bytes };
    case EXTENSION_TYPE.featureNames:
      return { kind: 'feature-names', at, bytes, names: decodeFeatureNames(bytes) };
    case EXTENSION_TYPE.bitmaps:
      return { kind: 'bitmaps', at, bytes, bitmaps: decodeBitmaps(bytes, at, header) };
    case EXTENSION_TYPE.encryptionHeader:
      return { kind: 'encryption-header', at, bytes, header: decodeEncryption(bytes, at, header) };
    case EXTENSION_TYPE.dataFileName:
      return { kind: 'data-file-name', at, bytes };
    default:
      return { kind: 'unknown', at, type, bytes };
  }
}

function decodeBitmaps(bytes: Uint8Array, at: number, header: Header): BitmapsExtension {
  const structure = 'bitmaps extension';
  if (bytes.length !== BITMAPS_EXTENSION_BYTES) {
    throw invalid(structure, at, `the bitmaps extension has ${bytes.length} bytes`, '24 bytes');
  }
  const raw = decodeStruct(BITMAPS_EXTENSION, bytes);
  const directoryAt = exactNumber(raw.directoryAt, 'the bitmap directory offset');
  const directoryBytes = exactNumber(raw.directoryBytes, 'the bitmap directory size');
  // An image whose autoclear bit is clear holds bitmaps that nobody trusts: nothing to judge then.
  if (header.bitmapsConsistent) {
    const { bitmapsMax, bitmapDirectoryBytesMax } = LIMITS;
    if (raw.reserved !== 0 || raw.bitmapCount === 0 || raw.bitmapCount > bitmapsMax.value) {
      throw invalid(
        structure,
        at,
        `the bitmaps extension claims ${raw.bitmapCount} bitmaps`,
        `1 to ${bitmapsMax.value} bitmaps and a reserved field of zero`,
      );
    }
    const aligned = isAligned(directoryAt, header.geometry.clusterBytes) && directoryAt !== 0;
    if (!aligned || directoryBytes > bitmapDirectoryBytesMax.value) {
      throw invalid(
        structure,
        at,
        `the bitmap directory (${directoryBytes} bytes at ${hex(directoryAt)}) can't be there`,
        `at most ${bitmapDirectoryBytesMax.value} bytes on a cluster boundary`,
      );
    }
  }
  return { bitmapCount: raw.bitmapCount, directoryAt: directoryAt, directoryBytes };
}

function decodeEncryption(bytes: Uint8Array, at: number, header: Header): EncryptionHeaderRef {
  const structure = 'encryption header extension';
  if (header.encryption !== 'luks') {
    throw invalid(structure, at, 'an encryption header in an image without LUKS', 'no extension');
  }
  if (bytes.length !== ENCRYPTION_POINTER_BYTES) {
    throw invalid(structure, at, `the extension has ${bytes.length} bytes`, '16 bytes');
  }
  const raw = decodeStruct(ENCRYPTION_POINTER, bytes);
  const offset = exactNumber(raw.at, 'the encryption header offset');
  const length = exactNumber(raw.bytes, 'the encryption header size');
  const aligned = isAligned(offset, header.geometry.clusterBytes) && offset !== 0;
  if (!aligned || length > LIMITS.encryptionHeaderBytesMax.value) {
    throw invalid(
      structure,
      at,
      `the encryption header (${length} bytes at ${hex(offset)}) can't be there`,
      `a multiple of the cluster size ${header.geometry.clusterBytes}`,
    );
  }
  return { at: offset, bytes: length };
}
