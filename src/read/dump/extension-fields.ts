import { printable } from '../../base/text.js';
import { hex } from '../../base/words.js';
import {
  BITMAPS_EXTENSION,
  BITMAPS_EXTENSION_BYTES,
  ENCRYPTION_POINTER,
  ENCRYPTION_POINTER_BYTES,
  EXTENSION_TYPE,
} from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import { bytesField, fieldsOf, offsetWords, type Piece } from './piece.js';

/** An extension as far as it lies in its area. */
export interface StoredExtension {
  readonly type: number;
  readonly at: number;
  /** Its data; shorter than it says where the area or the file ends. */
  readonly data: Uint8Array;
}

/** The extensions of an image and their fields. */
export interface DumpedExtensions {
  readonly fields: readonly DumpedField[];
  readonly extensions: readonly StoredExtension[];
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [EXTENSION_TYPE.end, 'end of the header extension area'],
  [EXTENSION_TYPE.backingFormat, 'backing file format name'],
  [EXTENSION_TYPE.featureNames, 'feature name table'],
  [EXTENSION_TYPE.bitmaps, 'bitmaps extension'],
  [EXTENSION_TYPE.encryptionHeader, 'full disk encryption header pointer'],
  [EXTENSION_TYPE.dataFileName, 'external data file name'],
]);

const HEAD = { type: { at: 0, type: 'u32' }, length: { at: 4, type: 'u32' } } as const;
const HEAD_BYTES = 8;

/**
 * Reads header extensions until they end, or until one says that it is longer than the area.
 *
 * @param piece the first cluster, or what the file has of it.
 * @param begin where the first one is.
 * @param limit where the area ends: at the backing file's name, or with the cluster.
 * Spec: Header extensions.
 */
export function extensionFields(piece: Piece, begin: number, limit: number): DumpedExtensions {
  const fields: DumpedField[] = [];
  const extensions: StoredExtension[] = [];
  const view = new DataView(piece.bytes.buffer, piece.bytes.byteOffset, piece.bytes.byteLength);
  for (let at = begin, index = 0; at + HEAD_BYTES <= limit; index++) {
    const of = { part: 'extensions', structure: `extension ${index}` } as const;
    const isWhole = at + HEAD_BYTES <= piece.bytes.length;
    const stored = isWhole ? view.getUint32(at) : EXTENSION_TYPE.end;
    const length = isWhole ? view.getUint32(at + 4) : 0;
    const room = limit - at - HEAD_BYTES;
    const most = length > room ? `at most ${room} bytes` : wrongLength(stored, length);
    fields.push(
      ...fieldsOf(
        of,
        HEAD,
        {
          type: ['type', (value) => ({ text: typeWords(Number(value)) })],
          length: ['length', (value) => ({ text: `${value} bytes`, expected: most })],
        },
        piece,
        at,
      ),
    );
    if (!isWhole || stored === EXTENSION_TYPE.end) break;
    const dataAt = at + HEAD_BYTES;
    fields.push(...dataFields(of, stored, piece, [dataAt, Math.min(length, room)]));
    const data = piece.bytes.slice(dataAt, dataAt + Math.min(length, room));
    extensions.push({ type: stored, at, data });
    if (length > room) break;
    at = dataAt + Math.ceil(length / 8) * 8;
  }
  return { fields, extensions };
}

const FIXED: ReadonlyMap<number, number> = new Map([
  [EXTENSION_TYPE.bitmaps, BITMAPS_EXTENSION_BYTES],
  [EXTENSION_TYPE.encryptionHeader, ENCRYPTION_POINTER_BYTES],
]);

/** How long an extension of a type has to be; undefined where it is, or may have any length. */
function wrongLength(type: number, length: number): string | undefined {
  const fixed = FIXED.get(type);
  return fixed === undefined || fixed === length ? undefined : `${fixed} bytes`;
}

function typeWords(type: number): string {
  return `${hex(type)} (${NAMES.get(type) ?? 'unknown'})`;
}

type Of = { readonly part: 'extensions'; readonly structure: string };

function dataFields(
  of: Of,
  type: number,
  piece: Piece,
  [at, length]: readonly [at: number, length: number],
): DumpedField[] {
  switch (type) {
    case EXTENSION_TYPE.bitmaps:
      if (length < BITMAPS_EXTENSION_BYTES) break;
      return fieldsOf(
        of,
        BITMAPS_EXTENSION,
        {
          bitmapCount: ['nb_bitmaps'],
          reserved: ['reserved', (value) => ({ ...(value !== 0 && { expected: '0' }) })],
          directoryBytes: ['bitmap_directory_size', (value) => ({ text: `${value} bytes` })],
          directoryAt: ['bitmap_directory_offset', offsetWords],
        },
        piece,
        at,
      );
    case EXTENSION_TYPE.encryptionHeader:
      if (length < ENCRYPTION_POINTER_BYTES) break;
      return fieldsOf(
        of,
        ENCRYPTION_POINTER,
        {
          at: ['offset', offsetWords],
          bytes: ['length', (value) => ({ text: `${value} bytes` })],
        },
        piece,
        at,
      );
    case EXTENSION_TYPE.featureNames:
      return featureNames(of, piece, at, length);
    case EXTENSION_TYPE.backingFormat:
    case EXTENSION_TYPE.dataFileName:
      return [bytesField(of, 'data', piece, [at, length], 'text')];
  }
  return [bytesField(of, 'data', piece, [at, length])];
}

const FEATURE_NAME_BYTES = 48;
const FEATURE_KINDS = ['incompatible', 'compatible', 'autoclear'];

/** Spec: Feature name table: the kind, the bit, and 46 bytes of a name that zeros end. */
function featureNames(of: Of, piece: Piece, at: number, length: number): DumpedField[] {
  const fields: DumpedField[] = [];
  for (let from = 0; from < length; from += FEATURE_NAME_BYTES) {
    const bytes = Math.min(FEATURE_NAME_BYTES, length - from);
    const field = bytesField(of, `feature ${from / FEATURE_NAME_BYTES}`, piece, [at + from, bytes]);
    if (field.problem !== undefined || bytes < FEATURE_NAME_BYTES) {
      const problem = { problem: { expected: `${FEATURE_NAME_BYTES} bytes` } };
      fields.push({ ...field, ...problem });
      continue;
    }
    const kind = FEATURE_KINDS[field.bytes[0]!];
    const name = field.bytes.subarray(2);
    const end = name.indexOf(0);
    const text = printable(end === -1 ? name : name.subarray(0, end));
    const words = `${kind ?? `kind ${field.bytes[0]!}`} bit ${field.bytes[1]!}: "${text}"`;
    fields.push({
      ...field,
      text: words,
      ...(kind === undefined && { problem: { expected: 'kind 0, 1 or 2' } }),
    });
  }
  return fields;
}
