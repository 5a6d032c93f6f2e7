import { expect, test } from 'vitest';
import { equalBytes } from '../../../src/node/equal-bytes.js';

test('the same bytes, wherever they lie', () => {
  const a = new Uint8Array([0, 1, 2, 3]);
  expect(equalBytes(a.subarray(1), new Uint8Array([1, 2, 3]))).toBe(true);
  expect(equalBytes(a, new Uint8Array([0, 1, 2, 4]))).toBe(false);
  expect(equalBytes(a, a.subarray(0, 3))).toBe(false);
});
