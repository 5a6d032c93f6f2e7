import { decodeStruct } from '../../base/struct.js';
import { sameBytes, utf8Bytes, utf8Text } from '../../base/text.js';
import { roundUp } from '../../base/units.js';
import type { Header } from '../../qcow2/header.js';
import {
  BITMAPS_EXTENSION_BYTES,
  COMPRESSION_TYPE_AT,
  ENCRYPTION_POINTER_BYTES,
  EXTENSION_TYPE,
  HEADER_V2_BYTES,
} from '../../qcow2/spec.js';
import type { Names } from './names.js';

/** Formats of backing files by the names that QEMU has for them: they tell nothing of anybody. */
const FORMATS: ReadonlySet<string> = new Set([
  ...['raw', 'qcow2', 'qcow', 'qed', 'vdi', 'vhdx', 'vmdk', 'vpc', 'luks', 'parallels', 'file'],
]);

/** Names of feature bits as QEMU writes them. QEMU: block/qcow2.c, qcow2_update_header. */
const FEATURES: ReadonlySet<string> = new Set([
  ...['dirty bit', 'corrupt bit', 'external data file', 'compression type'],
  ...['extended L2 entries', 'lazy refcounts', 'bitmaps', 'raw external data'],
]);

const FEATURE_BYTES = 48;
const EXTENSION_HEAD = { type: { at: 0, type: 'u32' }, length: { at: 4, type: 'u32' } } as const;
const EXTENSION_HEAD_BYTES = 8;

/**
 * The first cluster with the header and its extensions, their names replaced, and nothing else. An extension that can't
 * be right is as wrong afterwards, and nothing behind it is taken.
 *
 * @param cluster as stored, or as much of it as the file has.
 */
export function newHead(cluster: Uint8Array, header: Header, names: Names): Uint8Array {
  const head = new Uint8Array(cluster.length);
  const { at, bytes } = header.backingName;
  head.set(names.inHeader(cluster.slice(at, at + bytes)), Math.min(at, head.length));
  const end = Math.min(at === 0 ? cluster.length : at, cluster.length);
  takeExtensions(cluster, head, header.headerBytes, end, names);
  const known = header.version === 2 ? HEADER_V2_BYTES : COMPRESSION_TYPE_AT + 1;
  const knownEnd = Math.min(known, header.headerBytes);
  head.set(names.unknown(cluster.slice(knownEnd, header.headerBytes)), knownEnd);
  head.set(cluster.subarray(0, knownEnd));
  return head;
}

function takeExtensions(
  from: Uint8Array,
  to: Uint8Array,
  start: number,
  end: number,
  names: Names,
): void {
  for (let at = start; at + EXTENSION_HEAD_BYTES <= end;) {
    const { type, length } = decodeStruct(EXTENSION_HEAD, from, at);
    const dataAt = at + EXTENSION_HEAD_BYTES;
    to.set(from.subarray(at, dataAt), at);
    if (type === EXTENSION_TYPE.end || length > end - dataAt) return;
    to.set(newContent(type, from.slice(dataAt, dataAt + length), names), dataAt);
    at = dataAt + roundUp(length, 8);
  }
}

function newContent(type: number, bytes: Uint8Array, names: Names): Uint8Array {
  switch (type) {
    case EXTENSION_TYPE.backingFormat:
      return FORMATS.has(utf8Text(bytes)) ? bytes : names.inHeader(bytes);
    case EXTENSION_TYPE.dataFileName:
      return names.inHeader(bytes);
    case EXTENSION_TYPE.featureNames:
      return newFeatureNames(bytes, names);
    case EXTENSION_TYPE.bitmaps:
      return bytes.length === BITMAPS_EXTENSION_BYTES ? bytes : names.unknown(bytes);
    case EXTENSION_TYPE.encryptionHeader:
      return bytes.length === ENCRYPTION_POINTER_BYTES ? bytes : names.unknown(bytes);
    default:
      return names.unknown(bytes);
  }
}

/** Names that QEMU writes stay; of each other one the number of the bit is left. */
function newFeatureNames(bytes: Uint8Array, names: Names): Uint8Array {
  const made = bytes.slice();
  for (let at = 0; at < made.length; at += FEATURE_BYTES) {
    const field = made.subarray(at + 2, at + FEATURE_BYTES);
    const end = field.indexOf(0);
    const name = field.slice(0, end === -1 ? field.length : end);
    const text = utf8Text(name);
    const isKnown = FEATURES.has(text) && sameBytes(utf8Bytes(text), name);
    field.set(isKnown ? name : names.inHeader(name));
    field.set(names.unknown(field.slice(name.length)), name.length);
  }
  return made;
}
