import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { parseBitmapDirectory } from '../../../src/qcow2/bitmap-directory.js';
import { bytesOf } from './header-bytes.js';

function parse(hex: string, bitmapCount = 1) {
  const bytes = bytesOf(hex);
  const extension = { bitmapCount, directoryAt: 0x9000, directoryBytes: bytes.length };
  return parseBitmapDirectory(bytes, extension, 4096);
}

function refusalOf(hex: string, bitmapCount = 1): unknown {
  try {
    return parse(hex, bitmapCount);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { code: error.code, at: error.details.at };
  }
}

/** Table at 0xa000 with 3 entries, flag auto, dirty tracking, 64 KiB, name "day". */
const DAY = '000000000000a000 00000003 00000002 01 10 0003 00000000 646179 0000000000';

test('H4: an entry by the table of the specification', () => {
  expect(parse(DAY)).toMatchObject([
    {
      name: 'day',
      granularityBytes: 65_536,
      inUse: false,
      auto: true,
      table: { at: 0xa000, entries: 3 },
    },
  ]);
});

test('entries begin at multiples of 8; extra data lies before the name', () => {
  const extra = '000000000000b000 00000001 00000001 01 09 0001 00000004 deadbeef 78 000000';
  expect(parse(extra + DAY, 2)).toMatchObject([
    { name: 'x', granularityBytes: 512, inUse: true, auto: false },
    { name: 'day' },
  ]);
});

describe('R10: what can not be right is refused, with its place', () => {
  test.each([
    ['cut off', '000000000000a000', 0],
    ['the name is cut off', '000000000000a000 00000003 00000002 01 10 00ff 00000000 646179', 0],
    ['extra data of 2^32 - 1', '000000000000a000 00000003 00000002 01 10 0003 ffffffff 646179', 0],
    ['table unaligned', '000000000000a200 00000003 00000002 01 10 0003 00000000 646179', 0],
    ['table too long', '000000000000a000 08000001 00000002 01 10 0003 00000000 646179', 0],
    [
      'more than the entries',
      '000000000000a000 00000003 00000002 01 10 0003 00000000 646179 0000000000 00',
      0x20,
    ],
    ['no name', '000000000000a000 00000003 00000002 01 10 0000 00000000', 0],
  ])('%s', (_, hex, at) => {
    expect(refusalOf(hex)).toEqual({ code: 'BITMAPS_INVALID', at: 0x9000 + at });
  });

  test('fewer entries than claimed', () => {
    expect(refusalOf(DAY, 2)).toEqual({ code: 'BITMAPS_INVALID', at: 0x9020 });
  });
});
