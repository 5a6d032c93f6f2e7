import { isPrintable, isValidUtf8, utf8Bytes } from '../../base/text.js';

/** What fills a name behind its number. */
const FILLER = 0x2d;
const LETTERS = 26;
const FIRST_LETTER = 0x61;
/** Two bytes that keep text from being shown, or from being text. */
const CONTROL = 0x01;
const NO_UTF8 = 0xff;

/**
 * Names in the place of others, each with as many bytes, so that nothing moves. Equal names get equal ones, and other
 * names others as long as there are enough of that length. What a check says of a name stays true of the new one: zero
 * bytes stay, and a name that can't be shown becomes another one that can't.
 *
 * Names that were given before are given again to themselves, if they come in the same order.
 */
export class OtherNames {
  readonly #prefix: string;
  readonly #given = new Map<string, Uint8Array>();
  /** By length: how many were made of letters alone. */
  readonly #lettered = new Map<number, number>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** How many names were replaced by others; equal ones count once. */
  get count(): number {
    return this.#given.size;
  }

  /** @param number of what has the name, for people to find it by. */
  of(name: Uint8Array, number: number): Uint8Array {
    if (name.length === 0) return name;
    const key = Array.from(name, (byte) => String.fromCharCode(byte)).join('');
    const known = this.#given.get(key);
    if (known !== undefined) return known;
    const made = likeIts(name, this.#text(name.length, number));
    this.#given.set(key, made);
    return made;
  }

  #text(length: number, number: number): Uint8Array {
    const made = new Uint8Array(length).fill(FILLER);
    const text = utf8Bytes(`${this.#prefix}${number}`);
    if (text.length <= length) {
      made.set(text);
      return made;
    }
    let left = this.#lettered.get(length) ?? 0;
    this.#lettered.set(length, left + 1);
    for (let i = length - 1; i >= 0; i--) {
      made[i] = FIRST_LETTER + (left % LETTERS);
      left = Math.floor(left / LETTERS);
    }
    return made;
  }
}

/** `made` with what is odd about `name`. */
function likeIts(name: Uint8Array, made: Uint8Array): Uint8Array {
  if (isPrintable(name)) return made;
  const first = name.findIndex((byte) => byte !== 0);
  if (first === -1) return name;
  const like = made.map((byte, i) => (name[i] === 0 ? 0 : byte));
  if (!isValidUtf8(name)) like[first] = NO_UTF8;
  else if (!name.includes(0)) like[first] = CONTROL;
  return like;
}
