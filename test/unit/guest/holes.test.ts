import { expect, test } from 'vitest';
import { allocationOf, isZero, stretchesByReading } from '../../../src/guest/holes.js';
import { memoryDevice } from '../../../src/index.js';

test('zeros at any alignment', () => {
  const bytes = new Uint8Array(100);
  for (let from = 0; from < 9; from++) {
    expect(isZero(bytes, from, 60)).toBe(true);
    for (const at of [from, 30, 59]) {
      bytes[at] = 1;
      expect(isZero(bytes, from, 60), `${from} ${at}`).toBe(false);
      bytes[at] = 0;
    }
  }
});

test('blocks are those of the file, wherever the part lies in them', async () => {
  const file = new Uint8Array(20_000);
  file[5000] = 1;
  const found = [];
  for await (const batch of stretchesByReading(memoryDevice(file), 6000, 10_000)) {
    found.push(...batch);
  }
  expect(found).toEqual([
    { at: 6000, length: 2192, isHole: false },
    { at: 8192, length: 7808, isHole: true },
  ]);
});

test('a source that can not tell is all there', async () => {
  const memory = memoryDevice(new Uint8Array(5000));
  expect(await allocationOf(memory)).toBe('all');
  const sparse = (bytes: number) =>
    Object.assign(memory, { allocatedBytes: () => Promise.resolve(bytes) });
  expect(await allocationOf(sparse(0))).toBe('nothing');
  expect(await allocationOf(sparse(4096))).toBe('some');
  expect(await allocationOf(sparse(8192))).toBe('all');
});
