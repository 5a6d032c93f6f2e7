import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printedBytes } from '../../../src/base/printed.js';
import { printable, utf8Bytes } from '../../../src/base/text.js';

test('what is printed leads back to the bytes', () => {
  const text = fc.string({ unit: 'binary' }).map(utf8Bytes);
  const odd = fc
    .array(fc.constantFrom('\\', 'x', 'n', '41', '\n', '\u202e', 'u{41}', 'ä'))
    .map((parts) => utf8Bytes(parts.join('')));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), text, odd), (bytes) => {
      expect(printedBytes(printable(bytes))).toEqual(new Uint8Array(bytes));
    }),
  );
});
