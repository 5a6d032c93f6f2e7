import { expect, test } from 'vitest';
import { ForeignJson } from '../../../src/base/foreign-json.js';
import { QsnapError } from '../../../src/errors.js';

const json = new ForeignJson((path, actual, expected) => {
  return new QsnapError('UNDO_FILE_INVALID', `${path} is ${actual}, not ${expected}`);
});

test('takes what it is asked for', () => {
  expect(json.recordOf({ a: 1 }, 'x')).toEqual({ a: 1 });
  expect(json.listOf([1, 2], 'x', 2, (one, path) => [path, one])).toEqual([
    ['x[0]', 1],
    ['x[1]', 2],
  ]);
  expect(json.integerOf(5, 'x', 5, 5)).toBe(5);
  expect(json.textOf('', 'x')).toBe('');
  expect(json.hexOf('0aff', 'x', 2)).toBe('0aff');
});

test.each<[string, () => unknown]>([
  ['x is missing, not an object', () => json.recordOf(undefined, 'x')],
  ['x is a list, not an object', () => json.recordOf([], 'x')],
  ['x is an object, not a list', () => json.listOf({}, 'x', 1, () => 0)],
  ['x.length is 2, not at most 1', () => json.listOf([1, 2], 'x', 1, () => 0)],
  ['x is 4, not a whole number from 5 to 6', () => json.integerOf(4, 'x', 5, 6)],
  ['x is "7", not a whole number from 5 to 6', () => json.integerOf('7', 'x', 5, 6)],
  ['x is null, not text', () => json.textOf(null, 'x')],
  ['x is "0A", not 1 bytes in lower-case hex', () => json.hexOf('0A', 'x', 1)],
  [`x is "${'y'.repeat(60)}"…, not a list`, () => json.listOf('y'.repeat(99), 'x', 1, () => 0)],
])('%s', (message, read) => {
  expect(read).toThrow(message);
});
