import { expect, test } from 'vitest';
import {
  BITMAP_ENTRY,
  BITMAPS_EXTENSION,
  EXTENSION_TYPE,
  HEADER_V2,
  HEADER_V3,
  MAGIC,
  SNAPSHOT_ENTRY,
  SNAPSHOT_EXTRA,
} from '../../../src/qcow2/spec.js';
import type { Layout } from '../../../src/base/struct.js';

/** First and last byte of every field as the specification prints them, in its order. */
const RANGES = (text: string): [number, number][] =>
  text
    .trim()
    .split(/\s+/)
    .map((range) => range.split('-').map(Number) as [number, number]);

const WIDTH = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;

function rangesOf(layout: Layout, base = 0): [number, number][] {
  return Object.values(layout).map(({ at, type }) => [base + at, base + at + WIDTH[type] - 1]);
}

test.each<[string, Layout, number, string]>([
  [
    'Header',
    HEADER_V2,
    0,
    '0-3 4-7 8-15 16-19 20-23 24-31 32-35 36-39 40-47 48-55 56-59 60-63 64-71',
  ],
  ['Header, version 3', HEADER_V3, 0, '72-79 80-87 88-95 96-99 100-103'],
  ['Snapshots', SNAPSHOT_ENTRY, 0, '0-7 8-11 12-13 14-15 16-19 20-23 24-31 32-35 36-39'],
  ['Snapshots, extra data', SNAPSHOT_EXTRA, 40, '40-47 48-55 56-63'],
  ['Bitmaps extension', BITMAPS_EXTENSION, 0, '0-3 4-7 8-15 16-23'],
  ['Bitmap directory', BITMAP_ENTRY, 0, '0-7 8-11 12-15 16-16 17-17 18-19 20-23'],
])('%s: the fields lie where the specification says', (_, layout, base, ranges) => {
  expect(rangesOf(layout, base)).toEqual(RANGES(ranges));
});

test('magic and extension types', () => {
  expect(MAGIC).toBe(0x514649fb);
  expect(Object.values(EXTENSION_TYPE)).toEqual([
    0, 0xe2792aca, 0x6803f857, 0x23852875, 0x0537be77, 0x44415441,
  ]);
});
