import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bytesOfWords,
  exactNumber,
  hex,
  HIGH_WORD,
  joinExact,
  swapWords,
  wordsInPlace,
} from '../../../src/base/words.js';
import { isQsnapError } from '../../../src/errors.js';

const word = fc.oneof(
  fc.nat(0xffff_ffff),
  fc.constantFrom(0, 0x001f_ffff, 0x0020_0000, 0xffff_ffff),
);

function codeOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return isQsnapError(error) ? error.code : error;
  }
}

test('E2: a 64-bit value is exact up to 2^53 - 1, and refused beyond: never rounded', () => {
  fc.assert(
    fc.property(word, word, (high, low) => {
      const exact = BigInt(high) * 2n ** 32n + BigInt(low);
      const fits = exact <= 2n ** 53n - 1n;
      expect(codeOf(() => joinExact(high, low, 'it'))).toBe(
        fits ? Number(exact) : 'LIMIT_EXCEEDED',
      );
      expect(codeOf(() => exactNumber(exact, 'it'))).toBe(fits ? Number(exact) : 'LIMIT_EXCEEDED');
    }),
  );
});

test('E2: the edge itself', () => {
  expect(joinExact(0x1f_ffff, 0xffff_ffff, 'it')).toBe(9_007_199_254_740_991);
  expect(() => joinExact(0x20_0000, 0, 'the disk size')).toThrow(
    'the disk size is 0x20000000000000',
  );
  expect(HIGH_WORD).toBe(4_294_967_296);
});

test('entries become (high, low) pairs in place, and swapping again gives the bytes back', () => {
  const bytes = Uint8Array.of(0x80, 0, 0, 1, 0xfe, 0xdc, 0xba, 0x98);
  const words = wordsInPlace(bytes);
  expect([...words]).toEqual([0x8000_0001, 0xfedc_ba98]);
  expect(words.buffer).toBe(bytes.buffer);
  expect([...bytesOfWords(words)]).toEqual([0x80, 0, 0, 1, 0xfe, 0xdc, 0xba, 0x98]);
  swapWords(words);
  expect([...bytes]).toEqual([0x80, 0, 0, 1, 0xfe, 0xdc, 0xba, 0x98]);
});

test('words agree with DataView on any bytes, at any aligned place', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), (random) => {
      const bytes = random.slice(0, Math.floor(random.length / 8) * 8);
      const view = new DataView(bytes.slice().buffer);
      const inside = new Uint8Array(bytes.length + 8);
      inside.set(bytes, 4);
      const words = wordsInPlace(inside.subarray(4, 4 + bytes.length));
      for (let i = 0; i < words.length; i++) expect(words[i]).toBe(view.getUint32(4 * i));
    }),
  );
});

test('positions are printed in hex', () => {
  expect([hex(0), hex(65_536), hex(2n ** 63n)]).toEqual(['0x0', '0x10000', '0x8000000000000000']);
});
