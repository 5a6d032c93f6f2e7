import { expect, test } from 'vitest';
import { firstDifference, isZero } from '../../../src/base/bytes.js';

test('isZero finds the one byte that is not, wherever it is and however the bytes lie', () => {
  for (const shift of [0, 1, 4]) {
    for (const length of [0, 1, 3, 4, 31, 32, 33, 67]) {
      const bytes = new Uint8Array(128).subarray(shift, shift + length);
      expect(isZero(bytes)).toBe(true);
      for (let i = 0; i < length; i += 1) {
        bytes[i] = 1;
        expect(isZero(bytes), `${shift} ${length} ${i}`).toBe(false);
        expect(isZero(bytes, i + 1, length)).toBe(true);
        expect(isZero(bytes, 0, i)).toBe(true);
        bytes[i] = 0;
      }
    }
  }
});

test('firstDifference is the index of the first byte that differs, at or after the start', () => {
  for (const shift of [0, 1, 4]) {
    for (const length of [1, 3, 4, 16, 33]) {
      const a = new Uint8Array(64).fill(7).subarray(0, length);
      const b = new Uint8Array(64).fill(7).subarray(shift, shift + length);
      expect(firstDifference(a, b)).toBe(length);
      for (let i = 0; i < length; i += 1) {
        b[i] = 8;
        expect(firstDifference(a, b), `${shift} ${length} ${i}`).toBe(i);
        expect(firstDifference(a, b, i)).toBe(i);
        expect(firstDifference(a, b, i + 1)).toBe(length);
        b[i] = 7;
      }
    }
  }
});
