import { expect, test } from 'vitest';
import { assert } from '../../../src/base/assert.js';
import { isQsnapError } from '../../../src/errors.js';

test('a claim that holds passes', () => {
  expect(() => {
    assert(true, 'one is one');
  }).not.toThrow();
});

test('a broken claim is a bug of ours: INTERNAL, and asks for a report', () => {
  let thrown: unknown;
  try {
    assert(false, 'one is two');
  } catch (error) {
    thrown = error;
  }
  if (!isQsnapError(thrown)) expect.unreachable('assert throws a QsnapError');
  expect(thrown.code).toBe('INTERNAL');
  expect(thrown.message).toContain('one is two');
  expect(thrown.details.hint).toContain('report');
});
