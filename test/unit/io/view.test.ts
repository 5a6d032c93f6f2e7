import { expect, test } from 'vitest';
import { memoryDevice } from '../../../src/index.js';
import { tellsHoles } from '../../../src/io/holes.js';
import { tailOf } from '../../../src/io/view.js';

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

test('the tail of a source begins at its byte, and ends where the source does', async () => {
  const tail = tailOf(memoryDevice(BYTES), 300);
  expect(await tail.sizeBytes()).toBe(700);
  const into = new Uint8Array(720);
  await tail.readBatch([{ at: 0, into }]);
  expect(into.subarray(0, 700)).toEqual(BYTES.subarray(300));
  // Behind the end all reads as zeros, as in any source.
  expect(into.subarray(700)).toEqual(new Uint8Array(20));
});

test('a tail behind the end is empty, and tells no holes of the whole', async () => {
  const tail = tailOf(memoryDevice(BYTES), 2000);
  expect(await tail.sizeBytes()).toBe(0);
  // Its own answers would be those of the whole.
  expect(await tellsHoles(tail)).toBe(false);
  expect(Reflect.get(tail, 'allocatedBytes')).toBeUndefined();
  await tail.close();
});
