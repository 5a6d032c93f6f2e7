import { describe, expect, test } from 'vitest';
import { dataRanges, zeroRule } from '../../../../src/make/copy/zero-ranges.js';

test('runs are aligned to the largest power of two below their least length', () => {
  expect(zeroRule(4096)).toEqual({ runBytes: 4096, blockBytes: 4096 });
  expect(zeroRule(12288)).toEqual({ runBytes: 12288, blockBytes: 8192 });
  expect(zeroRule(1)).toEqual({ runBytes: 1, blockBytes: 512 });
});

describe('dataRanges', () => {
  const rule = { runBytes: 2048, blockBytes: 1024 };
  const bytesOf = (blocks: string, unit = 1024): Uint8Array => {
    const bytes = new Uint8Array(blocks.length * unit);
    for (let i = 0; i < blocks.length; i += 1) {
      if (blocks[i] !== '.') bytes[i * unit + unit - 1] = 1;
    }
    return bytes;
  };

  test.each<readonly [string, string]>([
    ['....', ''],
    ['x', '0-1'],
    ['.x.', '1-2'],
    // One block of zeros is too short a run, two are long enough.
    ['x.x', '0-3'],
    ['x..x', '0-1 3-4'],
    ['..x.xx...x.', '2-6 9-10'],
  ])('%s', (blocks, wanted) => {
    const found = dataRanges(bytesOf(blocks), 0, rule);
    expect(found.map(({ from, to }) => `${from / 1024}-${to / 1024}`).join(' ')).toBe(wanted);
  });

  test('blocks are aligned to guest offsets, not to where the bytes begin', () => {
    const bytes = bytesOf('x....', 512);
    expect(dataRanges(bytes, 512, rule)).toEqual([{ from: 512, to: 1024 }]);
    expect(dataRanges(bytes, 1024, rule)).toEqual([{ from: 1024, to: 2048 }]);
  });

  test('a part of a block at the end is a block', () => {
    const bytes = new Uint8Array(2548);
    bytes[2547] = 1;
    expect(dataRanges(bytes, 0, rule)).toEqual([{ from: 2048, to: 2548 }]);
  });
});
