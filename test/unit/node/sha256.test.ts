import { expect, test } from 'vitest';
import { newSha256 } from '../../../src/node/sha256.js';

test('the digest of "abc", in parts', () => {
  const hasher = newSha256();
  for (const letter of ['a', '', 'bc']) hasher.update(new TextEncoder().encode(letter));
  expect(hasher.digest()).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
