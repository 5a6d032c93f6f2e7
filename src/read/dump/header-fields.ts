import { hex } from '../../base/words.js';
import { isQsnapError } from '../../errors.js';
import { bitsOf } from '../../qcow2/features.js';
import { decodeHeader } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { RawHeader } from '../../qcow2/raw-header.js';
import {
  COMPRESSION_TYPE_AT,
  HEADER_V2,
  HEADER_V2_BYTES,
  HEADER_V3,
  HEADER_V3_BYTES,
  MAGIC,
} from '../../qcow2/spec.js';
import { checkIdentity, headerProblems } from '../../qcow2/validate.js';
import type { DumpedField } from './dumped.js';
import {
  bytesField,
  fieldsOf,
  offsetWords,
  type FieldWords,
  type Piece,
  type Said,
  type Say,
} from './piece.js';

const OF = { part: 'header', structure: 'header' } as const;

const bytes: Say = (value) => ({ text: `${value} bytes` });

const V2: FieldWords<typeof HEADER_V2> = {
  magic: ['magic', (value) => ({ text: value === MAGIC ? '"QFI\\xfb"' : hex(value) })],
  version: ['version'],
  backingNameAt: ['backing_file_offset', offsetWords],
  backingNameBytes: ['backing_file_size', bytes],
  clusterBits: ['cluster_bits', (value) => powerWords(value, 'clusters of', 'bytes')],
  sizeBytes: ['size', bytes],
  cryptMethod: [
    'crypt_method',
    (value) => ({
      text: ['0 (no encryption)', '1 (AES)', '2 (LUKS)'][Number(value)] ?? `${value}`,
    }),
  ],
  l1Entries: ['l1_size'],
  l1At: ['l1_table_offset', offsetWords],
  refcountTableAt: ['refcount_table_offset', offsetWords],
  refcountTableClusters: ['refcount_table_clusters'],
  snapshotCount: ['nb_snapshots'],
  snapshotTableAt: ['snapshots_offset', offsetWords],
};

const bits: Say = (value) => {
  const set = bitsOf(BigInt(value));
  const text =
    set.length === 0 ? 'no bits' : `${set.length === 1 ? 'bit' : 'bits'} ${set.join(', ')}`;
  return { text: `${hex(value)} (${text})` };
};

const V3: FieldWords<typeof HEADER_V3> = {
  incompatible: ['incompatible_features', bits],
  compatible: ['compatible_features', bits],
  autoclear: ['autoclear_features', bits],
  refcountOrder: ['refcount_order', (value) => powerWords(value, 'refcounts of', 'bits')],
  headerBytes: ['header_length', bytes],
};

function powerWords(value: number | bigint, before: string, unit: string): Said {
  return {
    text: Number(value) < 32 ? `${value} (${before} ${2 ** Number(value)} ${unit})` : `${value}`,
  };
}

/** A header as it is stored, and what is known of it by reading it leniently. */
export interface StoredHeader {
  readonly raw: RawHeader;
  /** Length of the header, or what most likely is: where extensions begin. */
  readonly bytes: number;
}

/**
 * How long a header is by its own words, as far as they can be right.
 *
 * @param head the first bytes of the file.
 */
export function storedHeader(head: Uint8Array): StoredHeader {
  const raw = decodeHeader(head);
  if (raw.version < 3) return { raw, bytes: HEADER_V2_BYTES };
  const { headerBytes } = raw;
  const isPlausible =
    headerBytes >= HEADER_V3_BYTES && headerBytes % 8 === 0 && headerBytes <= 2 ** 21;
  return { raw, bytes: isPlausible ? headerBytes : HEADER_V3_BYTES };
}

/**
 * The fields of a header of any version, as far as they are known.
 *
 * @param head the first bytes of the file, with the backing file's name where there is one.
 * Spec: Header, Additional fields.
 */
export function headerFields(head: Uint8Array, fileSizeBytes: number): DumpedField[] {
  const piece: Piece = { at: 0, bytes: head };
  const { raw, bytes: end } = storedHeader(head);
  const fields = fieldsOf(OF, HEADER_V2, V2, piece);
  // What follows in version 1 are other fields.
  if (raw.version === 1) return judged(fields.slice(0, 2), raw, head, fileSizeBytes);
  if (raw.version >= 3) {
    fields.push(...fieldsOf(OF, HEADER_V3, V3, piece));
    if (end > COMPRESSION_TYPE_AT) fields.push(...additionalFields(piece, end));
  }
  if (raw.backingNameAt !== 0n && raw.backingNameAt < BigInt(fileSizeBytes)) {
    const length = Math.min(raw.backingNameBytes, LIMITS.backingNameBytesMax.value);
    const at = Number(raw.backingNameAt);
    // Elsewhere than among the bytes that were read no name can be: the field that says so is marked.
    if (at < head.length || head.length >= fileSizeBytes) {
      fields.push(bytesField(OF, 'backing_file_name', piece, [at, length], 'text'));
    }
  }
  return judged(fields, raw, head, fileSizeBytes);
}

const COMPRESSION = {
  type: { at: COMPRESSION_TYPE_AT, type: 'u8' },
} as const;

function additionalFields(piece: Piece, end: number): DumpedField[] {
  const type = fieldsOf(
    OF,
    COMPRESSION,
    {
      type: [
        'compression_type',
        (value) => ({ text: ['0 (deflate)', '1 (zstd)'][Number(value)] ?? `${value}` }),
      ],
    },
    piece,
  );
  const paddingEnd = COMPRESSION_TYPE_AT + 8;
  const padding = bytesField(OF, 'padding', piece, [COMPRESSION_TYPE_AT + 1, 7]);
  const more = end - paddingEnd;
  return [
    ...type,
    padding,
    ...(more > 0 ? [bytesField(OF, 'unknown additional fields', piece, [paddingEnd, more])] : []),
  ];
}

/** The same fields, those marked that can't be right. */
function judged(
  fields: readonly DumpedField[],
  raw: RawHeader,
  head: Uint8Array,
  fileSizeBytes: number,
): DumpedField[] {
  const problems = new Map<number, string>();
  try {
    checkIdentity(raw, MAGIC, Math.max(fileSizeBytes, HEADER_V3_BYTES));
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    problems.set(error.details.at ?? 0, error.details.expected ?? '');
  }
  if (raw.version !== 1) {
    for (const { details } of headerProblems(raw, head)) {
      problems.set(details.at ?? 0, details.expected ?? '');
    }
  }
  return fields.map((field) => {
    const expected = problems.get(field.at);
    return field.problem !== undefined || expected === undefined
      ? field
      : { ...field, problem: { expected } };
  });
}
