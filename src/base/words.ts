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

const HOST_IS_LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/**
 * Turns big-endian 64-bit entries into (high, low) pairs of words in host order, in place.
 * The bytes then no longer are what the file holds; `swapWords` again turns them back.
 *
 * @param bytes length and byte offset are multiples of 4.
 */
export function wordsInPlace(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  swapWords(words);
  return words;
}

/** Swaps between big-endian and host order, in place. */
export function swapWords(words: Uint32Array): void {
  if (!HOST_IS_LITTLE) return;
  for (let i = 0; i < words.length; i++) {
    const w = words[i]!;
    words[i] = (w << 24) | ((w << 8) & 0xff0000) | ((w >>> 8) & 0xff00) | (w >>> 24);
  }
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
