import type { QsnapError } from '../errors.js';
import { printableText } from './text.js';

/** Characters of a wrong value that an error shows. */
const SHOWN_MAX = 60;

/** Reads the values of a JSON that anybody may have made. Each method throws what `wrong` makes. */
export class ForeignJson {
  readonly #wrong: (path: string, actual: string, expected: string) => QsnapError;

  constructor(wrong: (path: string, actual: string, expected: string) => QsnapError) {
    this.#wrong = wrong;
  }

  /** The error for a value at a path. */
  wrong(path: string, value: unknown, expected: string): QsnapError {
    return this.#wrong(path, shown(value), expected);
  }

  recordOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Readonly<Record<string, unknown>>;
    }
    throw this.wrong(path, value, 'an object');
  }

  /** @param most how many there may be. */
  listOf<T>(
    value: unknown,
    path: string,
    most: number,
    each: (one: unknown, path: string) => T,
  ): T[] {
    if (!Array.isArray(value)) throw this.wrong(path, value, 'a list');
    if (value.length > most) throw this.wrong(`${path}.length`, value.length, `at most ${most}`);
    return value.map((one, i) => each(one, `${path}[${i}]`));
  }

  integerOf(value: unknown, path: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
    if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) {
      return Number(value);
    }
    throw this.wrong(path, value, `a whole number from ${least} to ${most}`);
  }

  textOf(value: unknown, path: string): string {
    if (typeof value === 'string') return value;
    throw this.wrong(path, value, 'text');
  }

  /** So many bytes in hex, as text. */
  hexOf(value: unknown, path: string, bytes: number): string {
    const text = this.textOf(value, path);
    if (text.length === 2 * bytes && /^[0-9a-f]*$/.test(text)) return text;
    throw this.wrong(path, value, `${bytes} bytes in lower-case hex`);
  }
}

/** It may be as long and as deep as it likes: an error shows the beginning of simple values. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return JSON.stringify(value);
  const beginning = printableText(JSON.stringify(value.slice(0, SHOWN_MAX)));
  return value.length > SHOWN_MAX ? `${beginning}…` : beginning;
}
