import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { Z_FINISH, zlibInflate, zlibInflateInit2, ZStream } from 'pako';
import { expect, test } from 'vitest';
import { deflateReaches } from '../../../src/base/deflate-length.js';

/** Whether zlib, with room for no more, fills it: by its port to JavaScript. */
function fills(packed: Uint8Array, bytes: number): boolean {
  const stream = new ZStream();
  stream.input = packed;
  stream.avail_in = packed.length;
  stream.output = new Uint8Array(bytes);
  stream.avail_out = bytes;
  zlibInflateInit2(stream, -15);
  zlibInflate(stream, Z_FINISH);
  return stream.avail_out === 0;
}

const noisy = (length: number, often: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => {
    const noise = Math.imul(i + seed, 2_654_435_761) >>> 16;
    return (noise & 255) < often ? 7 : (noise >>> 8) & 255;
  });

const LEVELS = [0, 1, 6, 9];
const STRATEGIES = [
  constants.Z_DEFAULT_STRATEGY,
  constants.Z_HUFFMAN_ONLY,
  constants.Z_FIXED,
  constants.Z_RLE,
];

test('the length of a stream is what was packed, whatever follows', () => {
  for (const level of LEVELS) {
    for (const strategy of STRATEGIES) {
      for (const length of [1, 300, 65_536, 200_000]) {
        const packed = deflateRawSync(noisy(length, 200, 5), { level, strategy });
        const followed = new Uint8Array(packed.length + 9).fill(0xff);
        followed.set(packed);
        expect(deflateReaches(followed, length)).toBe(true);
        expect(deflateReaches(followed, length + 1)).toBe(false);
        expect(deflateReaches(packed.subarray(0, packed.length / 2), length)).toBe(length === 0);
      }
    }
  }
});

test('every stream reaches as far as zlib does: cut, followed by others, with wrong bits', () => {
  const content = fc.tuple(fc.integer({ min: 1, max: 1500 }), fc.nat(256), fc.nat(9999));
  const wrong = fc.array(fc.nat(9999), { maxLength: 2 });
  const cut = fc.option(fc.nat(900), { freq: 2 });
  fc.assert(
    fc.property(
      content,
      fc.constantFrom(...LEVELS),
      fc.constantFrom(...STRATEGIES),
      wrong,
      cut,
      fc.uint8Array({ maxLength: 20 }),
      ([length, often, seed], level, strategy, bits, end, tail) => {
        const packed = deflateRawSync(noisy(length, often, seed), { level, strategy });
        const stream = new Uint8Array([...packed.subarray(0, end ?? packed.length), ...tail]);
        // Codes are described at the beginning: most wrong bits go there.
        for (const bit of bits)
          stream[(bit >>> 3) % Math.min(stream.length, 40)]! ^= 1 << (bit & 7);
        for (const bytes of [1, 512, length, length + 1]) {
          expect(deflateReaches(stream, bytes), `${bytes} bytes`).toBe(fills(stream, bytes));
        }
      },
    ),
    { numRuns: 5000 },
  );
});

test('any bytes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 600 }),
      (stream, bytes) => {
        // A block with codes of its own, half of the time.
        const dynamic = stream.slice();
        dynamic[0] = (dynamic[0]! & ~7) | 4;
        for (const one of [stream, dynamic]) {
          expect(deflateReaches(one, bytes)).toBe(fills(one, bytes));
        }
      },
    ),
    { numRuns: 20_000 },
  );
});

/** Bits as text, in the order in which a stream has them. */
function streamOf(...parts: readonly string[]): Uint8Array {
  const bits = parts.join('').replaceAll(' ', '').padEnd(2000, '0');
  return Uint8Array.from({ length: bits.length / 8 }, (_, i) =>
    Number.parseInt(
      Array.from(bits.slice(i * 8, i * 8 + 8))
        .reverse()
        .join(''),
      2,
    ),
  );
}

/** A number of so many bits, the lowest first. */
const number = (value: number, bits: number): string =>
  Array.from(value.toString(2).padStart(bits, '0')).reverse().join('');

/** The beginning of a last block with codes of its own; `stored` are the lengths of the code for lengths. */
const block = (literals: number, distances: number, stored: readonly number[]): string =>
  `1 01 ${number(literals - 257, 5)} ${number(distances - 1, 5)} ${number(stored.length - 4, 4)}` +
  stored.map((length) => number(length, 3)).join('');

/** Codes of two bits for the lengths 0 and 1, and for 16 (the one before again) and 18 (many zeros). */
const LENGTHS = [2, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const [ZERO, ONE, AGAIN] = ['00', '01', '10'];
const zeros = (count: number): string => `11 ${number(count - 11, 7)}`;
/** Literal 0 is the bit 0, the end of the block is the bit 1. */
const LITERALS = `${ONE} ${zeros(138)} ${zeros(117)} ${ONE}`;

test('a block with codes of its own, by hand', () => {
  const sound = streamOf(block(257, 1, LENGTHS), LITERALS, ZERO, '00000 1');
  expect([5, 6].map((bytes) => deflateReaches(sound, bytes))).toEqual([true, false]);
  expect([5, 6].map((bytes) => fills(sound, bytes))).toEqual([true, false]);
});

test.each([
  [
    'repeats a length before the first',
    block(257, 1, LENGTHS),
    AGAIN + '00' + ONE + zeros(138) + zeros(114) + ONE + ZERO,
  ],
  ['has no end of the block', block(257, 1, LENGTHS), ONE + ONE + zeros(138) + zeros(117) + ZERO],
  ['has 287 literals', block(287, 1, LENGTHS), LITERALS + zeros(30) + ZERO],
  ['has 31 distances', block(257, 31, LENGTHS), LITERALS + zeros(31)],
  ['has more lengths than it said', block(257, 1, LENGTHS), LITERALS + zeros(11)],
  ['has one code for lengths', block(257, 1, [0, 0, 0, 1]), '0'.repeat(258)],
  ['has no code for lengths', block(257, 1, [0, 0, 0, 0]), '0'.repeat(258)],
  ['has 258 codes of one bit', block(257, 1, LENGTHS), ONE.repeat(258)],
])('a block that %s gives nothing', (_, begin, lengths) => {
  const stream = streamOf(begin, lengths);
  expect(fills(stream, 1)).toBe(false);
  expect(deflateReaches(stream, 1)).toBe(false);
});
