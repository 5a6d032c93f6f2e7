import { expect, test } from 'vitest';
import { lookAtL1, lookAtL2 } from '../../../src/l1l2/recognise.js';
import { scanOf } from '../../../src/l1l2/scan.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';

const FILE_CLUSTERS = 64;
const PLAIN = scanOf({
  geometry: geometryOf(16, 4, false),
  version: 3,
  fileClusters: FILE_CLUSTERS,
});
const EXTENDED = scanOf({
  geometry: geometryOf(16, 4, true),
  version: 3,
  fileClusters: FILE_CLUSTERS,
});

const COPIED = 0x8000_0000;
const at = (cluster: number): number => cluster * 65536;

/** A table of so many words that begins with these. */
function table(...words: number[]): Uint32Array {
  const all = new Uint32Array(128);
  all.set(words);
  return all;
}

test('pointers to clusters of the file are a table', () => {
  const look = lookAtL2(table(COPIED, at(5), 0, at(6), 0, 0, 0, 1), PLAIN);
  expect(look).toEqual({ pointers: 2, compressed: 0, copied: 1 });
  expect(lookAtL1(table(COPIED, at(5), 0, at(6)), PLAIN)).toEqual(
    expect.objectContaining({ pointers: 2 }),
  );
});

test('one pointer is a table where it has the COPIED flag', () => {
  expect(lookAtL2(table(COPIED, at(5)), PLAIN)).toBeDefined();
  expect(lookAtL2(table(0, at(5)), PLAIN)).toBeUndefined();
});

test('zeros, and entries that only read as zeros, are none', () => {
  expect(lookAtL2(table(), PLAIN)).toBeUndefined();
  expect(lookAtL2(table(0, 1, 0, 1), PLAIN)).toBeUndefined();
});

test.each([
  ['a place past the end', [COPIED, at(5), 0, at(FILE_CLUSTERS)]],
  ['a place off a cluster', [COPIED, at(5), 0, at(6) + 512]],
  ['reserved bits', [COPIED, at(5), 0x0100_0000, at(6)]],
  ['one cluster at two places', [COPIED, at(5), COPIED, at(5)]],
])('%s makes it something else', (_, words) => {
  expect(lookAtL2(table(...words), PLAIN)).toBeUndefined();
});

test('compressed clusters may lie in one host cluster; an L1 table has none', () => {
  const words = table(0x4000_0000, at(5), 0x4000_0000, at(5) + 700);
  expect(lookAtL2(words, PLAIN)).toEqual({ pointers: 2, compressed: 2, copied: 0 });
  expect(lookAtL1(words, PLAIN)).toBeUndefined();
});

test('an extended entry is held to its bitmap', () => {
  expect(lookAtL2(table(COPIED, at(5), 0, 1), EXTENDED)).toBeDefined();
  expect(lookAtL2(table(COPIED, at(5), 1, 1), EXTENDED)).toBeUndefined();
  expect(lookAtL2(table(COPIED, at(5), 0, 1, 0, 0, 0, 1), EXTENDED)).toBeUndefined();
});
