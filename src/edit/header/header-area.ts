import { encodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import { encodeExtensions, type RawExtension } from '../../qcow2/encode-extensions.js';
import type { HeaderExtension } from '../../qcow2/extensions.js';
import { EXTENSION_TYPE, HEADER_V2, HEADER_V3 } from '../../qcow2/spec.js';

/** What lies in the first cluster behind the header's fields. */
export interface HeaderArea {
  readonly extensions: readonly RawExtension[];
  /** The name of the backing file and its place; undefined: there is none. */
  readonly name: { readonly at: number; readonly bytes: Uint8Array } | undefined;
}

const TYPES: Readonly<Record<Exclude<HeaderExtension['kind'], 'unknown'>, number>> = {
  'backing-format': EXTENSION_TYPE.backingFormat,
  'feature-names': EXTENSION_TYPE.featureNames,
  bitmaps: EXTENSION_TYPE.bitmaps,
  'encryption-header': EXTENSION_TYPE.encryptionHeader,
  'data-file-name': EXTENSION_TYPE.dataFileName,
};

export function rawExtension(extension: HeaderExtension): RawExtension {
  const { kind, bytes } = extension;
  return { type: kind === 'unknown' ? extension.type : TYPES[kind], bytes };
}

const END_BYTES = 8;

/** Where extensions end that begin at `from`, with the mark of their end. Spec: Header extensions. */
export function endOfExtensions(from: number, extensions: readonly RawExtension[]): number {
  return extensions.reduce((at, { bytes }) => at + 8 + roundUp(bytes.length, 8), from) + END_BYTES;
}

/**
 * The first bytes of the image with another area behind the header's fields; what nothing lies in is zeros.
 *
 * @param before the first bytes as they are: as many are given back.
 * @param headerBytes how long the header is.
 * @param autoclear undefined in version 2.
 */
export function withHeaderArea(
  before: Uint8Array,
  headerBytes: number,
  { extensions, name }: HeaderArea,
  autoclear: bigint | undefined,
): Uint8Array {
  const bytes = new Uint8Array(before.length);
  bytes.set(before.subarray(0, headerBytes));
  const place = { backingNameAt: BigInt(name?.at ?? 0), backingNameBytes: name?.bytes.length ?? 0 };
  encodeStruct(HEADER_V2, place, bytes);
  if (autoclear !== undefined) encodeStruct(HEADER_V3, { autoclear }, bytes);
  encodeExtensions(extensions, bytes, headerBytes);
  if (name !== undefined) bytes.set(name.bytes, name.at);
  return bytes;
}
