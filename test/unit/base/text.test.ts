import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hexOfBytes,
  isValidUtf8,
  printable,
  printableText,
  sameBytes,
  utf8Bytes,
  utf8Text,
} from '../../../src/base/text.js';

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

test.each([
  ['', true],
  ['62617365', true],
  ['e69bb4', true],
  ['f09f93b8', true],
  ['ff', false],
  ['e69b', false],
  ['c080', false],
  ['eda080', false],
  ['f4908080', false],
])('UTF-8 by Unicode: %s is valid: %s', (hex, valid) => {
  expect(isValidUtf8(bytesOf(hex))).toBe(valid);
});

test("S7: bytes that are not UTF-8 become U+FFFD, as in QEMU's JSON", () => {
  expect(utf8Text(bytesOf('62616420fffe206279746573'))).toBe('bad \ufffd\ufffd bytes');
});

test('a byte order mark is part of a name', () => {
  expect(utf8Text(bytesOf('efbbbf61'))).toBe('\ufeffa');
  expect(isValidUtf8(bytesOf('efbbbf61'))).toBe(true);
});

test('text and bytes', () => {
  expect([...utf8Bytes('é')]).toEqual([0xc3, 0xa9]);
  expect(hexOfBytes(Uint8Array.of(0, 15, 255))).toBe('000fff');
  expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  expect(sameBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false);
});

describe('E3: printable', () => {
  test.each([
    ['62617365', 'base'],
    ['d0b4d0be20e69bb420f09f93b8', 'до 更 📸'],
    ['74776f0a6c696e6573', 'two\\nlines'],
    ['0d09', '\\r\\t'],
    ['1b5b33316d', '\\x1b[31m'],
    ['00', '\\x00'],
    ['7f', '\\x7f'],
    ['c29b', '\\u{9b}'],
    ['e280ae', '\\u{202e}'],
    ['e280a8', '\\u{2028}'],
    ['f3a08081', '\\u{e0001}'],
    ['5c6e', '\\\\n'],
    ['fffe', '\\xff\\xfe'],
    ['e69b41', '\\xe6\\x9bA'],
    ['eda080', '\\xed\\xa0\\x80'],
    ['f09f93', '\\xf0\\x9f\\x93'],
  ])('%s is shown as %s', (hex, shown) => {
    expect(printable(bytesOf(hex))).toBe(shown);
  });

  test('text is shown the same way', () => {
    expect(printableText('a\u0000b')).toBe('a\\x00b');
  });

  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 20 }).map((text) => utf8Bytes(text)),
    fc
      .array(fc.constantFrom(0x5c, 0x78, 0x31, 0x62, 0x1b, 0xc2, 0x9b, 0xff, 0x75, 0x7b))
      .map((bytes) => Uint8Array.from(bytes)),
  );

  test('never gives a control, format, separator or surrogate character to a terminal', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const shown = printable(bytes);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        expect(shown.isWellFormed()).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  /** The other way round, from the documented escapes alone. */
  function unescape(shown: string): Uint8Array {
    const parts: number[] = [];
    const escape = /\\(?:(n|r|t|\\)|x([0-9a-f]{2})|u\{([0-9a-f]+)\})|([^\\])/gu;
    for (const [, simple, byte, code, plain] of shown.matchAll(escape)) {
      if (simple !== undefined) parts.push({ n: 10, r: 13, t: 9, '\\': 92 }[simple]!);
      else if (byte !== undefined) parts.push(parseInt(byte, 16));
      else if (code !== undefined)
        parts.push(...utf8Bytes(String.fromCodePoint(parseInt(code, 16))));
      else parts.push(...utf8Bytes(plain!));
    }
    return Uint8Array.from(parts);
  }

  test('can be read back to the very bytes: two names never look alike', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(hexOfBytes(unescape(printable(bytes)))).toBe(hexOfBytes(bytes));
      }),
      { numRuns: 1000 },
    );
  });
});
