import { expect, test } from 'vitest';
import { editsBegun, noteEditBegun } from '../../../src/io/edits.js';
import { memoryDevice } from '../../../src/io/memory.js';

test('each device has a count of its own', () => {
  const [one, other] = [memoryDevice(), memoryDevice()];
  expect(editsBegun(one)).toBe(0);
  noteEditBegun(one);
  noteEditBegun(one);
  expect([editsBegun(one), editsBegun(other)]).toEqual([2, 0]);
});
