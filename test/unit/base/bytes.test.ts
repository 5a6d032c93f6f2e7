import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstDifference, isZero, hasSameBytes, sameWords } from '../../../src/base/bytes.js';

test('isZero finds the one byte that is not, wherever it is and however the bytes lie', () => {
  for (const shift of [0, 1, 4]) {
    for (const length of [0, 1, 3, 4, 31, 32, 33, 67]) {
      const bytes = new Uint8Array(128).subarray(shift, shift + length);
      expect(isZero(bytes)).toBe(true);
      for (let i = 0; i < length; i += 1) {
        bytes[i] = 1;
        expect(isZero(bytes), `${shift} ${length} ${i}`).toBe(false);
        expect(isZero(bytes, i + 1, length)).toBe(true);
        expect(isZero(bytes, 0, i)).toBe(true);
        bytes[i] = 0;
      }
    }
  }
});

test('firstDifference is the index of the first byte that differs, at or after the start', () => {
  for (const shift of [0, 1, 4]) {
    for (const length of [1, 3, 4, 16, 33]) {
      const a = new Uint8Array(64).fill(7).subarray(0, length);
      const b = new Uint8Array(64).fill(7).subarray(shift, shift + length);
      expect(firstDifference(a, b)).toBe(length);
      for (let i = 0; i < length; i += 1) {
        b[i] = 8;
        expect(firstDifference(a, b), `${shift} ${length} ${i}`).toBe(i);
        expect(firstDifference(a, b, i)).toBe(i);
        expect(firstDifference(a, b, i + 1)).toBe(length);
        b[i] = 7;
      }
    }
  }
});

/** Bytes of which most are equal, and how far two copies of them lie from a word boundary. */
const twins = fc
  .record({
    length: fc.integer({ min: 0, max: 100 }),
    shifts: fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 })),
    byte: fc.constantFrom(0, 1, 0x80, 0xff),
    changes: fc.array(fc.tuple(fc.nat(99), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
    from: fc.nat(100),
    to: fc.nat(100),
  })
  .map(({ length, shifts, byte, changes, from, to }) => {
    // What lies around the bytes differs, so that no word of it may count.
    const [a, b] = shifts.map((shift, i) => {
      return new Uint8Array(128).fill(200 + i).subarray(shift, shift + length);
    }) as [Uint8Array, Uint8Array];
    a.fill(byte);
    b.fill(byte);
    for (const [at, value] of changes) if (at < length) b[at] = value;
    const [start, end] = [Math.min(from, to, length), Math.min(Math.max(from, to), length)];
    return { a, b, from: start, to: end };
  });

test('by words they tell what a loop over the bytes tells, wherever the bytes lie', () => {
  fc.assert(
    fc.property(twins, ({ a, b, from, to }) => {
      let at = from;
      while (at < a.length && a[at] === b[at]) at += 1;
      expect(firstDifference(a, b, from)).toBe(at);
      expect(hasSameBytes(a, b)).toBe([...a].join() === [...b].join());
      expect(isZero(b, from, to)).toBe([...b.subarray(from, to)].every((byte) => byte === 0));
    }),
    { numRuns: 2000 },
  );
});

test('hasSameBytes and sameWords look at the length, too', () => {
  const bytes = new Uint8Array(40);
  expect(hasSameBytes(bytes, bytes.subarray(1))).toBe(false);
  expect(hasSameBytes(bytes.subarray(1), bytes)).toBe(false);
  expect(hasSameBytes(bytes.subarray(0, 0), bytes.subarray(1, 1))).toBe(true);
  const words = new Uint32Array(10);
  expect(sameWords(words, words.slice())).toBe(true);
  expect(sameWords(words, words.subarray(1))).toBe(false);
  expect(sameWords(words, Uint32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 2 ** 31))).toBe(false);
});
