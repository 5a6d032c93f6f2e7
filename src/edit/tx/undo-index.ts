import { printableText } from '../../base/text.js';
import { MiB } from '../../base/units.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import type { ByteRange } from '../../io/device.js';
import { areDisjoint } from './rules.js';

/**
 * The index of an undo file. All numbers are bytes. Anybody can make a file with a right digest, so no field is
 * believed before `undoIndexOf` has checked it.
 */
export interface UndoIndex {
  /** What the image was called when the edit was made. Nothing is opened by it. */
  readonly image: string;
  readonly operation: string;
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  readonly switchAt: number;
  /** The header sector before the edit, in hex. */
  readonly headerBefore: string;
  /** The same after it. */
  readonly headerAfter: string;
  /** Stretches that the edit writes while they are free. */
  readonly shadow: readonly ShadowStretch[];
  /** Stretches that it gives back to the host. */
  readonly punched: readonly KeptStretch[];
  /** Stretches that the old state uses, the new one leaves free, and nobody writes to or gives back. */
  readonly freed: readonly FreedStretch[];
}

/** `length` bytes from `at`; what lay there is kept at `keptAt` in the undo file. */
export interface KeptStretch {
  readonly at: number;
  readonly length: number;
  /** Undefined: zeros lay there, or the file ended before. */
  readonly keptAt?: number;
}

/** A stretch that the edit writes, with the SHA-256 of what it writes. */
export interface ShadowStretch extends KeptStretch {
  readonly sha256After: string;
}

/** A stretch that becomes free and stays as it is, with the SHA-256 of what lies there. */
export interface FreedStretch extends ByteRange {
  readonly sha256Before: string;
}

/** Bounds on what an undo file may claim, and on what is written to one. All of them are ours. */
export const UNDO_LIMITS = {
  /** The longest table that an edit writes as a whole, a snapshot table, has half of it. */
  stretchBytesMax: 128 * MiB,
  stretchesMax: 2 ** 20,
  /** Room for so many stretches. */
  indexBytesMax: 256 * MiB,
} as const;

/** Where kept bytes may lie in the undo file. */
export interface KeptRange {
  readonly from: number;
  readonly end: number;
}

const SECTOR_BYTES = 512;
/** The header's fields that an edit may change. */
const SWITCH_FROM = 24;
const SWITCH_END = 96;
const SHA256_BYTES = 32;
/** Characters of a wrong value that an error shows. */
const SHOWN_MAX = 60;

/**
 * Checks an index by the rules that the writer of undo files keeps. Stretches overlap neither the header nor each
 * other. The switch changes only fields of the header. Kept bytes lie in the order of the stretches.
 *
 * @param value any JSON.
 * @throws QsnapError UNDO_FILE_INVALID with the field, what was found and what is right.
 */
export function undoIndexOf(value: unknown, kept: KeptRange): UndoIndex {
  const fields = recordOf(value, 'index');
  const sizeBefore = integerOf(fields['sizeBefore'], 'sizeBefore', SECTOR_BYTES);
  const sizeAfter = integerOf(fields['sizeAfter'], 'sizeAfter', sizeBefore);
  const keptBytes = new KeptBytes(kept, sizeBefore);
  const shadow = listOf(fields['shadow'], 'shadow', (one, path) => ({
    ...keptBytes.stretchOf(one, path, sizeAfter),
    sha256After: hexOf(recordOf(one, path)['sha256After'], `${path}.sha256After`, SHA256_BYTES),
  }));
  const punched = listOf(fields['punched'], 'punched', (one, path) =>
    keptBytes.stretchOf(one, path, sizeBefore),
  );
  keptBytes.refuseRest();
  const freed = listOf(fields['freed'], 'freed', (one, path) => ({
    ...stretchOf(one, path, sizeBefore),
    sha256Before: hexOf(recordOf(one, path)['sha256Before'], `${path}.sha256Before`, SHA256_BYTES),
  }));
  refuseOverlaps({ shadow, punched, freed });
  const end = shadow.reduce((last, { at, length }) => Math.max(last, at + length), sizeBefore);
  if (sizeAfter !== end) throw wrongField('sizeAfter', sizeAfter, `${end}, where the tables end`);
  return {
    image: textOf(fields['image'], 'image'),
    operation: textOf(fields['operation'], 'operation'),
    sizeBefore,
    sizeAfter,
    ...headersOf(fields),
    shadow,
    punched,
    freed,
  };
}

/** The file is no undo file, or none that qsnap wrote. */
export function undoFileInvalid(reason: string, details: ErrorDetails = {}): QsnapError {
  return new QsnapError('UNDO_FILE_INVALID', `this is no undo file of qsnap: ${reason}`, {
    structure: 'undo file',
    imageState: 'unchanged',
    ...details,
  });
}

/** Kept bytes lie one after another, without gaps, in the order of the stretches. */
class KeptBytes {
  readonly #range: KeptRange;
  readonly #sizeBefore: number;
  #next: number;

  constructor(range: KeptRange, sizeBefore: number) {
    this.#range = range;
    this.#sizeBefore = sizeBefore;
    this.#next = range.from;
  }

  /** @param end where the stretch ends at the latest. */
  stretchOf(value: unknown, path: string, end: number): KeptStretch {
    const { at, length } = stretchOf(value, path, end);
    const { keptAt } = recordOf(value, path);
    if (keptAt === undefined) return { at, length };
    const field = `${path}.keptAt`;
    if (at >= this.#sizeBefore) throw wrongField(field, keptAt, 'nothing, behind the old end');
    if (keptAt !== this.#next) throw wrongField(field, keptAt, String(this.#next));
    const left = this.#range.end - this.#next;
    if (length > left) throw wrongField(`${path}.length`, length, `at most ${left}, as are kept`);
    this.#next += length;
    return { at, length, keptAt };
  }

  /** Bytes that no stretch names would be kept for nothing. */
  refuseRest(): void {
    const { from, end } = this.#range;
    if (this.#next === end) return;
    const [actual, expected] = [`${end - from} bytes`, `${this.#next - from} bytes`];
    const reason = `its kept bytes are ${actual}, not ${expected}, which its stretches name`;
    throw undoFileInvalid(reason, { actual, expected });
  }
}

/** @param end where the stretch ends at the latest. */
function stretchOf(value: unknown, path: string, end: number): ByteRange {
  const fields = recordOf(value, path);
  const at = integerOf(fields['at'], `${path}.at`, SECTOR_BYTES, end - 1);
  const most = Math.min(UNDO_LIMITS.stretchBytesMax, end - at);
  return { at, length: integerOf(fields['length'], `${path}.length`, 1, most) };
}

/** The switch and the two headers, which differ in nothing but what it writes. */
function headersOf(
  fields: Readonly<Record<string, unknown>>,
): Pick<UndoIndex, 'switchAt' | 'headerBefore' | 'headerAfter'> {
  const switchAt = integerOf(fields['switchAt'], 'switchAt', SWITCH_FROM, SWITCH_END - 1);
  const headerBefore = hexOf(fields['headerBefore'], 'headerBefore', SECTOR_BYTES);
  const headerAfter = hexOf(fields['headerAfter'], 'headerAfter', SECTOR_BYTES);
  const [before, after] = [bytesOfHex(headerBefore), bytesOfHex(headerAfter)];
  for (const [at, byte] of after.entries()) {
    if (byte === before[at] || (at >= switchAt && at < SWITCH_END)) continue;
    const expected = `${before[at]!}, as in headerBefore`;
    throw wrongField(`headerAfter, byte ${at},`, byte, expected);
  }
  return { switchAt, headerBefore, headerAfter };
}

function refuseOverlaps(lists: Pick<UndoIndex, 'shadow' | 'punched' | 'freed'>): void {
  if (areDisjoint(Object.values<readonly ByteRange[]>(lists).flat())) return;
  const named = Object.entries<readonly ByteRange[]>(lists)
    .flatMap(([name, list]) => list.map((one, i) => ({ ...one, path: `${name}[${i}]` })))
    .toSorted((a, b) => a.at - b.at);
  const second = named.findIndex((one, i) => i > 0 && endOf(named[i - 1]!) > one.at);
  const [a, b] = [named[second - 1]!, named[second]!];
  throw wrongField(`${b.path}.at`, b.at, `at least ${endOf(a)}, where ${a.path} ends`);
}

function endOf({ at, length }: ByteRange): number {
  return at + length;
}

function recordOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw wrongField(path, value, 'an object');
}

function listOf<T>(value: unknown, path: string, each: (one: unknown, path: string) => T): T[] {
  const most = UNDO_LIMITS.stretchesMax;
  if (!Array.isArray(value)) throw wrongField(path, value, 'a list');
  if (value.length > most) {
    throw wrongField(`${path}.length`, value.length, `at most ${most}`);
  }
  return value.map((one, i) => each(one, `${path}[${i}]`));
}

function integerOf(
  value: unknown,
  path: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) {
    return Number(value);
  }
  throw wrongField(path, value, `a whole number from ${least} to ${most}`);
}

function textOf(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw wrongField(path, value, 'text');
}

function hexOf(value: unknown, path: string, bytes: number): string {
  const text = textOf(value, path);
  if (text.length === 2 * bytes && /^[0-9a-f]*$/.test(text)) return text;
  throw wrongField(path, value, `${bytes} bytes in lower-case hex`);
}

function wrongField(path: string, value: unknown, expected: string): QsnapError {
  const actual = shown(value);
  return undoFileInvalid(`its ${path} is ${actual}, not ${expected}`, { actual, expected });
}

/** Foreign JSON may be as long and as deep as it likes: an error shows the beginning of simple values. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return JSON.stringify(value);
  const beginning = printableText(JSON.stringify(value.slice(0, SHOWN_MAX)));
  return value.length > SHOWN_MAX ? `${beginning}…` : beginning;
}

/** The bytes of a header in hex. */
export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
