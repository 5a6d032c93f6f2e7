import type { Field, Layout } from '../../base/struct.js';
import { isPrintable, printable } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { DUMPED_BYTES_MAX, type DumpedField } from './dumped.js';

/** Bytes of an image and where they lie. They are fewer than the structure needs where the file ends. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What a dump says of a value. */
export interface Said {
  /** Without it the number itself. */
  readonly text?: string;
  /** What would be right; not there where the value can be. */
  readonly expected?: string | undefined;
}

/** Says something of a value. */
export type Say = (value: number | bigint) => Said;

type Of = Pick<DumpedField, 'part' | 'structure'>;

/** The name of each field of a layout, and what is said of its value. */
export type FieldWords<L extends Layout> = {
  readonly [K in keyof L]: readonly [name: string, say?: (value: number | bigint) => Said];
};

const BYTES = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;

/** A number where one holds the value exactly. */
export function narrowed(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** All fields of a structure that begins at `base` of the bytes, in the order of the layout. */
export function fieldsOf<L extends Layout>(
  of: Of,
  layout: L,
  words: FieldWords<L>,
  piece: Piece,
  base = 0,
): DumpedField[] {
  return Object.entries(layout).map(([key, field]) => {
    const [name, say] = words[key]!;
    return numberField(of, name, field, piece, base, say);
  });
}

function numberField(
  of: Of,
  name: string,
  field: Field,
  piece: Piece,
  base: number,
  say: (value: number | bigint) => Said = () => ({}),
): DumpedField {
  const length = BYTES[field.type];
  const from = base + field.at;
  const bytes = piece.bytes.slice(from, from + length);
  const place = { ...of, name, at: piece.at + from, length, bytes };
  if (bytes.length < length) return cutOff(place);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  const number = narrowed(value);
  const { text = String(number), expected } = say(number);
  return {
    ...place,
    value: number,
    text,
    ...(expected !== undefined && { problem: { expected } }),
  };
}

/** A field of bytes; of text, which zeros may fill up. */
export function bytesField(
  of: Of,
  name: string,
  piece: Piece,
  [from, length]: readonly [from: number, length: number],
  kind: 'text' | 'padded' | 'bytes' = 'bytes',
  expected?: string,
): DumpedField {
  const whole = piece.bytes.subarray(from, from + length);
  const bytes = whole.slice(0, DUMPED_BYTES_MAX);
  const place = { ...of, name, at: piece.at + from, length, bytes };
  if (whole.length < length) return cutOff(place);
  const problem = expected === undefined ? {} : { problem: { expected } };
  if (kind === 'bytes') return { ...place, text: `${length} bytes`, ...problem };
  const end = kind === 'padded' ? bytes.indexOf(0) : -1;
  const letters = end === -1 ? bytes : bytes.subarray(0, end);
  const text = printable(letters);
  return { ...place, ...(isPrintable(letters) && { value: text }), text: `"${text}"`, ...problem };
}

/** A field of which the file lacks bytes. */
export function cutOff(
  field: Pick<DumpedField, 'part' | 'structure' | 'name' | 'at' | 'length' | 'bytes'>,
): DumpedField {
  const { at, length, bytes } = field;
  return {
    ...field,
    text: `the file ends at ${hex(at + bytes.length)}`,
    problem: { expected: `${length} bytes` },
  };
}

/** An offset in words: in hex, and nothing where it is 0. */
export function offsetWords(value: number | bigint): Said {
  return { text: BigInt(value) === 0n ? '0 (none)' : hex(value) };
}
