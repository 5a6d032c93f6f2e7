import { QsnapError } from '../errors.js';

/** 2^32: the weight of the high word of a 64-bit value. */
export const HIGH_WORD = 2 ** 32;

/**
 * A 64-bit value from its two halves, exact.
 *
 * @throws QsnapError LIMIT_EXCEEDED past 2^53 - 1; nothing is ever rounded.
 * Ours: docs/numbers.md.
 */
export function joinExact(high: number, low: number, what: string): number {
  const value = high * HIGH_WORD + low;
  if (value > Number.MAX_SAFE_INTEGER) {
    const hex = `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`;
    throw new QsnapError(
      'LIMIT_EXCEEDED',
      `${what} is ${hex}, more than qsnap handles (2^53 - 1)`,
      {
        structure: what,
        expected: 'at most 2^53 - 1',
        actual: hex,
      },
    );
  }
  return value;
}

/** `joinExact` for a bigint that a structure was decoded to. */
export function exactNumber(value: bigint, what: string): number {
  return joinExact(Number(value >> 32n), Number(value & 0xffffffffn), what);
}

/** Whether the host reads the last byte of a word as its highest. */
export const HOST_IS_LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/**
 * The bytes of a file as words, as the host reads them: not in host order where that is another.
 *
 * @param bytes length and byte offset are multiples of 4.
 */
export function storedWords(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}

/** The bytes that words lie in. */
export function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/**
 * Turns big-endian 64-bit entries into (high, low) pairs of words in host order, in place.
 * The bytes then no longer are what the file holds; `swapWords` again turns them back.
 *
 * @param bytes length and byte offset are multiples of 4.
 */
export function wordsInPlace(bytes: Uint8Array): Uint32Array {
  const words = storedWords(bytes);
  swapWords(words);
  return words;
}

/** The word with its bytes in the other order: a signed number. */
export function swapped(word: number): number {
  return (word << 24) | ((word << 8) & 0xff0000) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** The value of a big-endian word that was read as the host reads words: a signed number. */
export function valueOfStored(word: number): number {
  return HOST_IS_LITTLE ? swapped(word) : word | 0;
}

/** Swaps between big-endian and host order, in place. */
export function swapWords(words: Uint32Array): void {
  if (!HOST_IS_LITTLE) return;
  for (let i = 0; i < words.length; i++) words[i] = swapped(words[i]!);
}

/** The big-endian bytes of words in host order, as a copy. */
export function bytesOfWords(words: Uint32Array): Uint8Array {
  const copy = words.slice();
  swapWords(copy);
  return new Uint8Array(copy.buffer);
}

/** An offset or count in hex, as all messages print positions. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
