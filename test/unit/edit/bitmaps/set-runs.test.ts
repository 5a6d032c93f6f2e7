import { expect, test } from 'vitest';
import { fillBits, setRuns } from '../../../../src/edit/bitmaps/set-runs.js';

test.each([
  [[0, 0], []],
  [[0xff, 0xff], [[0, 16]]],
  [
    [0x01, 0x80],
    [
      [0, 1],
      [15, 16],
    ],
  ],
  [[0x06, 0], [[1, 3]]],
  [[0xf0, 0x0f], [[4, 12]]],
  [
    [0x55],
    [
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ],
  ],
] as const)('runs of %j', (bytes, runs) => {
  expect([...setRuns(Uint8Array.from(bytes))]).toEqual(runs);
});

test('any range is filled and cleared', () => {
  for (let first = 0; first <= 40; first++) {
    for (let end = first; end <= 40; end++) {
      const bytes = new Uint8Array(5);
      fillBits(bytes, first, end);
      expect([...setRuns(bytes)]).toEqual(first === end ? [] : [[first, end]]);
      const others = new Uint8Array(5).fill(0xff);
      fillBits(others, first, end, false);
      expect(others.map((byte) => byte ^ 0xff)).toEqual(bytes);
    }
  }
});
