import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { hashContent, hashSource } from '../../../../src/make/copy/content.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { newSha256 } from '../../../../src/node/sha256.js';

test('zeros count as if they were there', async () => {
  const hasher = newSha256();
  const add = hashContent(hasher);
  await add([{ kind: 'zeros', length: 3_000_001 }]);
  await add([
    { kind: 'bytes', bytes: new Uint8Array([1, 2]) },
    { kind: 'zeros', length: 1 },
  ]);
  const whole = new Uint8Array(3_000_004);
  whole.set([1, 2], 3_000_001);
  expect(hasher.digest()).toBe(createHash('sha256').update(whole).digest('hex'));
});

test('a file is hashed to its last byte', async () => {
  const bytes = Uint8Array.from({ length: 4_200_001 }, (_, i) => i % 251);
  const wanted = createHash('sha256').update(bytes).digest('hex');
  expect(await hashSource(memoryDevice(bytes), newSha256())).toBe(wanted);
  const none = createHash('sha256').digest('hex');
  expect(await hashSource(memoryDevice(), newSha256())).toBe(none);
});
