import { describe, expect, test } from 'vitest';
import { hexOfBytes, utf8Bytes, utf8Text } from '../../../../src/base/text.js';
import { checkedDate, newId, newName } from '../../../../src/edit/snapshot/names.js';
import { outcome, snapshotsNamed } from './snapshots.js';

const OTHERS = snapshotsNamed(['1', 'base'], ['2', '']);

describe('S7: what a new name may be', () => {
  const name = (text: string | Uint8Array, rules = {}) =>
    outcome(() => utf8Text(newName(text, OTHERS, rules)));

  test.each([
    ['before upgrade', 'before upgrade'],
    ['до 更 📸', 'до 更 📸'],
    ['a'.repeat(255), 'a'.repeat(255)],
    ['a'.repeat(256), 'NAME_INVALID'],
    ['é'.repeat(128), 'NAME_INVALID'],
    ['', 'NAME_INVALID'],
    ['two\nlines', 'NAME_INVALID'],
    ['\u0000', 'NAME_INVALID'],
    ['\u007f', 'NAME_INVALID'],
    ['base', 'NAME_IN_USE'],
    ['Base', 'Base'],
  ])('"%s": %s', (text, expected) => {
    expect(name(text)).toBe(expected);
  });

  test('a C1 control character (U+009B starts an escape sequence) is a control character', () => {
    expect(name('red\u009b31m')).toBe('NAME_INVALID');
  });

  test('bytes that are not UTF-8', () => {
    expect(name(Uint8Array.of(0xff))).toBe('NAME_INVALID');
  });

  test('a drop-in for qemu-img may allow all of it, but never 256 bytes', () => {
    const rules = { anyName: true, allowDuplicateName: true };
    for (const text of ['', 'two\nlines', 'base', '\u0001']) expect(name(text, rules)).toBe(text);
    expect(hexOfBytes(newName(Uint8Array.of(0xff), OTHERS, rules))).toBe('ff');
    expect(name('a'.repeat(256), rules)).toBe('NAME_INVALID');
  });

  test('a zero byte ends a name for QEMU, and is what an entry has that was misread', () => {
    for (const text of ['\u0000', 'a\u0000', 'a\u0000b']) {
      expect(name(text, { anyName: true, allowDuplicateName: true })).toBe('NAME_INVALID');
    }
  });
});

describe('S6: the id of a new snapshot', () => {
  test.each([
    [[], '1'],
    [['1', '2'], '3'],
    [['1', '5', '3'], '6'],
    [['abc'], '1'],
    [['7x'], '8'],
    [['+4'], '5'],
    [[' \t9'], '10'],
    [['x9', ' '], '1'],
    [['007'], '8'],
    [['18446744073709551615'], '18446744073709551616'],
    [['9007199254740993'], '9007199254740994'],
  ])('after %j it is %s', (ids, expected) => {
    const others = snapshotsNamed(...ids.map((id) => [id, `name ${id}`] as const));
    expect(utf8Text(newId(undefined, others))).toBe(expected);
  });

  test.each([
    ['own', 'own'],
    ['', 'ID_INVALID'],
    ['a'.repeat(127), 'a'.repeat(127)],
    ['a'.repeat(128), 'ID_INVALID'],
    ['a\nb', 'ID_INVALID'],
    ['1', 'ID_IN_USE'],
  ])('a chosen id "%s": %s', (id, expected) => {
    expect(outcome(() => utf8Text(newId(id, OTHERS)))).toBe(expected);
  });

  test('utf8Bytes and back', () => {
    expect(newId('ü', OTHERS)).toEqual(utf8Bytes('ü'));
  });
});

test.each([
  [0, 0, true],
  [4_294_967_295, 999_999_999, true],
  [4_294_967_296, 0, false],
  [-1, 0, false],
  [0.5, 0, false],
  [NaN, 0, false],
  [0, 1_000_000_000, false],
  [0, -1, false],
  [0, 0.5, false],
])('S13: %d seconds and %d nanoseconds: %s', (seconds, nanoseconds, sound) => {
  const date = { seconds, nanoseconds };
  expect(outcome(() => checkedDate(date))).toEqual(sound ? date : 'DATE_INVALID');
});
