import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeStruct, encodeStruct, type Layout } from '../../../src/base/struct.js';

const LAYOUT = {
  byte: { at: 0, type: 'u8' },
  short: { at: 1, type: 'u16' },
  word: { at: 5, type: 'u32' },
  long: { at: 9, type: 'u64' },
} as const satisfies Layout;
const BYTES = Uint8Array.of(0xff, 0x12, 0x34, 7, 7, 0x80, 0, 0, 1, 0xfe, 1, 2, 3, 4, 5, 6, 9, 7);

test('every field is big-endian at its place; 64 bits are a bigint', () => {
  expect(decodeStruct(LAYOUT, BYTES)).toEqual({
    byte: 0xff,
    short: 0x1234,
    word: 0x8000_0001,
    long: 0xfe01_0203_0405_0609n,
  });
});

test('a base and a view into a larger array are honoured', () => {
  const shifted = new Uint8Array(40);
  shifted.set(BYTES, 11);
  expect(decodeStruct(LAYOUT, shifted.subarray(3), 8)).toEqual(decodeStruct(LAYOUT, BYTES));
});

test('too few bytes are an error and not zeros', () => {
  expect(() => decodeStruct(LAYOUT, BYTES.subarray(0, 16))).toThrow(RangeError);
});

test('encoding writes the given fields and leaves every other byte alone', () => {
  const bytes = new Uint8Array(18).fill(0xaa);
  encodeStruct(LAYOUT, { short: 0x0102, long: 3n }, bytes);
  expect([...bytes]).toEqual([
    0xaa, 1, 2, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0, 0, 0, 0, 0, 0, 0, 3, 0xaa,
  ]);
});

test('E2: decoding gives back what was encoded, up to 2^64 - 1', () => {
  const fields = fc.record({
    byte: fc.nat(0xff),
    short: fc.nat(0xffff),
    word: fc.nat(0xffff_ffff),
    long: fc.bigInt(0n, 2n ** 64n - 1n),
  });
  fc.assert(
    fc.property(fields, fc.nat(9), (values, base) => {
      const bytes = new Uint8Array(27);
      encodeStruct(LAYOUT, values, bytes, base);
      expect(decodeStruct(LAYOUT, bytes, base)).toEqual(values);
    }),
  );
});
