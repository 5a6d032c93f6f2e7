import { expect, test } from 'vitest';
import { isPrintable, isValidUtf8, utf8Bytes, utf8Text } from '../../../../src/base/text.js';
import { KEPT_NAMES, replacedNames } from '../../../../src/make/dehydrate/names.js';
import { OtherNames } from '../../../../src/make/dehydrate/other-names.js';

const renamed = (names: OtherNames, ...all: readonly string[]): readonly string[] =>
  all.map((name, i) => utf8Text(names.of(utf8Bytes(name), i + 1)));

test('names are replaced by others of the same length, equal ones by equal ones', () => {
  const names = new OtherNames('s');
  expect(renamed(names, 'golden', 'before the upgrade', 'golden', '')).toEqual([
    ...['s1----', 's2----------------', 's1----', ''],
  ]);
  expect(names.count).toBe(2);
});

test('where a number does not fit, letters tell names apart', () => {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const names = renamed(new OtherNames('s'), ...letters.toUpperCase().split(/(?=.)/));
  expect(names.join('')).toBe(letters);
  const many = renamed(new OtherNames('s'), ...Array.from({ length: 99 }, (_, i) => `${i + 10}`));
  expect(new Set(many).size).toBe(99);
  expect(many.slice(8, 11)).toEqual(['s9', 'aa', 'ab']);
});

test('a second time nothing changes', () => {
  const names = ['x', 'y', 'two\nlines', 'x', 'long enough', 'zz', '\u0000\u0000'];
  const once = renamed(new OtherNames('s'), ...names);
  expect(renamed(new OtherNames('s'), ...once)).toEqual(once);
});

test('what is odd about a name stays', () => {
  const names = new OtherNames('s');
  const odd = ['a\0b', 'tab\there', '\0'].map((name) => names.of(utf8Bytes(name), 1));
  expect(odd.map((name) => name.indexOf(0))).toEqual([1, -1, 0]);
  expect(odd.map(isPrintable)).toEqual([false, false, false]);
  const noText = names.of(Uint8Array.of(0x66, 0xfe, 0x67), 1);
  expect(isValidUtf8(noText)).toBe(false);
  expect([...noText]).not.toContain(0xfe);
});

test('ids stay where they are numbers', () => {
  const names = replacedNames();
  expect(utf8Text(names.snapshotId(utf8Bytes('12'), 0))).toBe('12');
  expect(utf8Text(names.snapshotId(utf8Bytes('acme-12'), 0))).toBe('i1-----');
  expect(utf8Text(names.bitmap(utf8Bytes('daily'), 1))).toBe('b2---');
  expect(utf8Text(names.inHeader(utf8Bytes('base.qcow2')))).toBe('f1--------');
  expect(utf8Text(names.inHeader(utf8Bytes('disk.qcow2')))).toBe('f2--------');
  expect([...names.unknown(Uint8Array.of(1, 2))]).toEqual([0, 0]);
  expect(names.replaced()).toBe(4);
});

test('kept names are the same bytes', () => {
  const name = utf8Bytes('golden');
  for (const kind of ['snapshot', 'snapshotId', 'bitmap'] as const) {
    expect(KEPT_NAMES[kind](name, 0)).toBe(name);
  }
  expect(KEPT_NAMES.inHeader(name)).toBe(name);
  expect(KEPT_NAMES.unknown(name)).toBe(name);
  expect(KEPT_NAMES.replaced()).toBe(0);
});
