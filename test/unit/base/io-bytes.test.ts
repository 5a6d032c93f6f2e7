import { expect, test } from 'vitest';
import { newIoBytes } from '../../../src/base/io-bytes.js';

test('memory of the asked length, all zero, away from where an allocator puts its own bytes', () => {
  for (const length of [0, 1, 512, 4 * 1024 * 1024]) {
    const bytes = newIoBytes(length);
    expect(bytes.length).toBe(length);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(bytes.byteOffset % 64).toBe(48);
  }
});
