import { expect, test } from 'vitest';
import { utf8Bytes } from '../../../../src/base/text.js';
import { storedWords } from '../../../../src/base/words.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import {
  looksWrong,
  TABLE_KINDS,
  type TableKind,
} from '../../../../src/make/dehydrate/looks-wrong.js';
import { putU64 } from '../../../support/image-builder-layout.js';

const LIMITS = {
  format: { geometry: geometryOf(12, 4, false), version: 3, fileClusters: 1000 },
  refcountMost: 20,
} as const;

function table(...entries: readonly bigint[]): Uint32Array {
  const bytes = new Uint8Array(64);
  for (const [i, entry] of entries.entries()) putU64(bytes, i * 8, entry);
  return storedWords(bytes);
}

const wrong = (kind: TableKind, words: Uint32Array): boolean => looksWrong(kind, words, LIMITS);

test('text is no table; of a bitmap nobody can tell', () => {
  const text = utf8Bytes('What a guest wrote, and not what an image has in it, not at all.');
  const judged = TABLE_KINDS.filter((kind) => !wrong(kind, storedWords(text)));
  expect(judged).toEqual(['bitmap-data']);
});

test('zeros are a table, and so are entries of which at most half are wrong', () => {
  for (const kind of TABLE_KINDS) expect(wrong(kind, table())).toBe(false);
  const odd = 0x1ffn;
  expect(wrong('l1-table', table(odd))).toBe(true);
  expect(wrong('l1-table', table(0x1000n, odd))).toBe(false);
  expect(wrong('l2-table', table(0x1000n, odd, odd, 0x2000n))).toBe(false);
  expect(wrong('l2-table', table(0x1000n, odd, odd))).toBe(true);
});

test('ones all over are a right entry of a bitmap table alone', () => {
  expect(wrong('bitmap-table', table(1n, 1n))).toBe(false);
  expect(wrong('l1-table', table(1n, 1n))).toBe(true);
});

test('refcounts are wrong where most are higher than all disks could ask for', () => {
  expect(wrong('refcount-block', table(0x0001_0001_0001_9999n))).toBe(false);
  expect(wrong('refcount-block', table(0x9999_9999_9999_0001n))).toBe(true);
});
