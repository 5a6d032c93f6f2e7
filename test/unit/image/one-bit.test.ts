import { describe, expect, test } from 'vitest';
import { neighbourText, oneBitNeighbours } from '../../../src/image/one-bit.js';

const CLUSTER = 0x10000;

describe('the places that differ by one bit', () => {
  test('a pointer past the end has the place that it was before the flip', () => {
    expect(oneBitNeighbours(0x100_0003_0000, CLUSTER, 0x80_0000)).toEqual([0x3_0000]);
  });

  test('a pointer inside the file has one for each bit that stays in it', () => {
    expect(oneBitNeighbours(0x3_0000, CLUSTER, 0x8_0000)).toEqual([0x1_0000, 0x2_0000, 0x7_0000]);
  });

  test('the header is no place', () => {
    expect(oneBitNeighbours(0x1_0000, CLUSTER, 0x4_0000)).toEqual([0x3_0000]);
  });

  test('a misaligned pointer has the place without the stray bit, and no other', () => {
    expect(oneBitNeighbours(0x3_0200, CLUSTER, 0x80_0000)).toEqual([0x3_0000]);
    expect(oneBitNeighbours(0x3_0600, CLUSTER, 0x80_0000)).toEqual([]);
  });

  test('a field with a bit that no offset has holds the place without it', () => {
    expect(oneBitNeighbours(2n ** 62n + 0x3_0000n, CLUSTER, 0x80_0000)).toEqual([0x3_0000]);
    expect(oneBitNeighbours(2 ** 62 + 0x3_0000, CLUSTER, 0x80_0000)).toEqual([0x3_0000]);
    expect(oneBitNeighbours(3n * 2n ** 62n + 0x3_0000n, CLUSTER, 0x80_0000)).toEqual([]);
    for (const rest of [0n, 0x3_0200n, 0x100_0000n]) {
      expect(oneBitNeighbours(2n ** 62n + rest, CLUSTER, 0x80_0000)).toEqual([]);
    }
  });

  test('the highest bits of an offset count as well', () => {
    const fileBytes = 2 ** 52;
    expect(oneBitNeighbours(2 ** 55 + 2 ** 40, CLUSTER, fileBytes)).toEqual([2 ** 40]);
    expect(oneBitNeighbours(2 ** 40, CLUSTER, fileBytes)).toContain(2 ** 40 + 2 ** 31);
    expect(oneBitNeighbours(2 ** 40, CLUSTER, fileBytes)).not.toContain(0);
  });
});

test('the sentence says what is wrong with the offset, and what is one bit away', () => {
  const say = (stored: number, entries: number | undefined): string =>
    neighbourText(stored, { at: 0x3_0000, entries }, CLUSTER, 0x80_0000);
  expect(say(0x100_0003_0000, 50)).toBe(
    'offset 0x10000030000 is past the end; 0x30000 differs by one bit and holds a table with 50 sound entries',
  );
  expect(say(0x3_0200, 1)).toBe(
    'offset 0x30200 is no cluster boundary; 0x30000 differs by one bit and holds a table with 1 sound entry',
  );
  expect(say(0x7_0000, undefined)).toBe(
    'offset 0x70000 can not be right; 0x30000 differs by one bit and nothing refers to it',
  );
});
