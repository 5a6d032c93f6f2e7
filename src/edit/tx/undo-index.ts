import { ForeignJson } from '../../base/foreign-json.js';
import { MiB } from '../../base/units.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import type { ByteRange } from '../../io/device.js';
import { areDisjoint, SWITCH_END, SWITCH_FROM } from './rules.js';

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
const SHA256_BYTES = 32;

const json = new ForeignJson((path, actual, expected) =>
  undoFileInvalid(`its ${path} is ${actual}, not ${expected}`, { actual, expected }),
);

/**
 * Checks an index by the rules that the writer of undo files keeps. Stretches overlap neither the header nor each
 * other. The switch changes only fields of the header. Kept bytes lie in the order of the stretches.
 *
 * @param value any JSON.
 * @throws QsnapError UNDO_FILE_INVALID with the field, what was found and what is right.
 */
export function undoIndexOf(value: unknown, kept: KeptRange): UndoIndex {
  const fields = json.recordOf(value, 'index');
  const sizeBefore = json.integerOf(fields['sizeBefore'], 'sizeBefore', SECTOR_BYTES);
  const sizeAfter = json.integerOf(fields['sizeAfter'], 'sizeAfter', sizeBefore);
  const keptBytes = new KeptBytes(kept, sizeBefore);
  const shadow = listOf(fields['shadow'], 'shadow', (one, path) => ({
    ...keptBytes.stretchOf(one, path, sizeAfter),
    sha256After: json.hexOf(
      json.recordOf(one, path)['sha256After'],
      `${path}.sha256After`,
      SHA256_BYTES,
    ),
  }));
  const punched = listOf(fields['punched'], 'punched', (one, path) =>
    keptBytes.stretchOf(one, path, sizeBefore),
  );
  keptBytes.refuseRest();
  const freed = listOf(fields['freed'], 'freed', (one, path) => ({
    ...stretchOf(one, path, sizeBefore),
    sha256Before: json.hexOf(
      json.recordOf(one, path)['sha256Before'],
      `${path}.sha256Before`,
      SHA256_BYTES,
    ),
  }));
  refuseOverlaps({ shadow, punched, freed });
  const end = shadow.reduce((last, { at, length }) => Math.max(last, at + length), sizeBefore);
  if (sizeAfter !== end) throw json.wrong('sizeAfter', sizeAfter, `${end}, where the tables end`);
  return {
    image: json.textOf(fields['image'], 'image'),
    operation: json.textOf(fields['operation'], 'operation'),
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
    const { keptAt } = json.recordOf(value, path);
    if (keptAt === undefined) return { at, length };
    const field = `${path}.keptAt`;
    if (at >= this.#sizeBefore) throw json.wrong(field, keptAt, 'nothing, behind the old end');
    if (keptAt !== this.#next) throw json.wrong(field, keptAt, String(this.#next));
    const left = this.#range.end - this.#next;
    if (length > left) throw json.wrong(`${path}.length`, length, `at most ${left}, as are kept`);
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
  const fields = json.recordOf(value, path);
  const at = json.integerOf(fields['at'], `${path}.at`, SECTOR_BYTES, end - 1);
  const most = Math.min(UNDO_LIMITS.stretchBytesMax, end - at);
  return { at, length: json.integerOf(fields['length'], `${path}.length`, 1, most) };
}

/** The switch and the two headers, which differ in nothing but what it writes. */
function headersOf(
  fields: Readonly<Record<string, unknown>>,
): Pick<UndoIndex, 'switchAt' | 'headerBefore' | 'headerAfter'> {
  const switchAt = json.integerOf(fields['switchAt'], 'switchAt', SWITCH_FROM, SWITCH_END - 1);
  const headerBefore = json.hexOf(fields['headerBefore'], 'headerBefore', SECTOR_BYTES);
  const headerAfter = json.hexOf(fields['headerAfter'], 'headerAfter', SECTOR_BYTES);
  const [before, after] = [bytesOfHex(headerBefore), bytesOfHex(headerAfter)];
  for (const [at, byte] of after.entries()) {
    if (byte === before[at] || (at >= switchAt && at < SWITCH_END)) continue;
    const expected = `${before[at]!}, as in headerBefore`;
    throw json.wrong(`headerAfter, byte ${at},`, byte, expected);
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
  throw json.wrong(`${b.path}.at`, b.at, `at least ${endOf(a)}, where ${a.path} ends`);
}

function endOf({ at, length }: ByteRange): number {
  return at + length;
}

function listOf<T>(value: unknown, path: string, each: (one: unknown, path: string) => T): T[] {
  return json.listOf(value, path, UNDO_LIMITS.stretchesMax, each);
}

/** The bytes of a header in hex. */
export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
