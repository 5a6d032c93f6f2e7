import { expect, test } from 'vitest';
import { parseBitmapDirectory } from '../../../src/qcow2/bitmap-directory.js';
import {
  bitmapEntryBytes,
  encodeBitmapDirectory,
  encodeBitmapsExtension,
  storedBitmapEntries,
} from '../../../src/qcow2/encode-bitmaps.js';
import { bytesOf } from './header-bytes.js';

const EXTRA = '000000000000b000 00000001 00000001 01 09 0001 00000004 deadbeef 78 000000';
const DAY = '000000000000a000 00000003 00000002 01 10 0003 00000000 646179 0000000000';

test('H4: entries are read and written as the specification has them, extra data and all', () => {
  const bytes = bytesOf(EXTRA + DAY);
  const entries = storedBitmapEntries(bytes, 2);
  expect(entries[1]).toEqual({
    table: { at: 0xa000, entries: 3 },
    flags: 2,
    granularityBits: 16,
    extraData: new Uint8Array(0),
    nameBytes: bytesOf('646179'),
  });
  expect(entries.map(bitmapEntryBytes)).toEqual([32, 32]);
  expect(encodeBitmapDirectory(entries)).toEqual(bytes);
  const extension = { bitmapCount: 2, directoryAt: 0x9000, directoryBytes: bytes.length };
  expect(parseBitmapDirectory(encodeBitmapDirectory(entries), extension, 4096)).toHaveLength(2);
});

test('the extension by the table of the specification', () => {
  expect(
    encodeBitmapsExtension({ bitmapCount: 2, directoryAt: 0x9000, directoryBytes: 0x40 }),
  ).toEqual(bytesOf('00000002 00000000 0000000000000040 0000000000009000'));
});
