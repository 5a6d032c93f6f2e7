import { hinted } from '../../src/base/hints.js';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, isQsnapError, QsnapError } from '../../src/errors.js';

const cause = new Error('the disk said no');
const error = new QsnapError(
  'NO_SPACE',
  'the medium is full',
  { bytesNeeded: 512, systemCode: 'ENOSPC', imageState: 'old' },
  cause,
);

test('has a code, the kind of the code, a message, details and a cause', () => {
  expect(error).toMatchObject({
    name: 'QsnapError',
    code: 'NO_SPACE',
    kind: 'io',
    message: 'the medium is full',
    details: { bytesNeeded: 512 },
    cause,
  });
  expect(error).toBeInstanceOf(Error);
  expect('cause' in new QsnapError('INTERNAL', 'x')).toBe(false);
});

test('with: more details, and everything else as before', () => {
  const more = error.with({ imageState: 'new', file: 'disk.qcow2' });
  expect(more.details).toEqual({
    bytesNeeded: 512,
    systemCode: 'ENOSPC',
    imageState: 'new',
    file: 'disk.qcow2',
  });
  expect([more.code, more.message, more.cause, more.stack]).toEqual([
    error.code,
    error.message,
    cause,
    error.stack,
  ]);
  expect(error.details.file).toBeUndefined();
});

test('JSON: code, kind, message and details in kebab case', () => {
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    code: 'NO_SPACE',
    kind: 'io',
    message: 'the medium is full',
    'bytes-needed': 512,
    'system-code': 'ENOSPC',
    'image-state': 'old',
  });
});

describe('isQsnapError', () => {
  test.each([
    [error, true],
    [new Error('x'), false],
    [{ code: 'NO_SPACE', name: 'QsnapError' }, false],
    [undefined, false],
    [null, false],
    ['NO_SPACE', false],
  ])('%s: %s', (value, expected) => {
    expect(isQsnapError(value)).toBe(expected);
  });

  test('knows an error of another copy of the package', () => {
    const ofAnotherCopy = Object.assign(new Error('x'), { [Symbol.for('qsnap.error')]: true });
    expect(isQsnapError(ofAnotherCopy)).toBe(true);
  });
});

test('codes are upper case words, and every kind has one', () => {
  for (const code of Object.keys(ERROR_CODES)) expect(code).toMatch(/^[A-Z0-9]+(_[A-Z0-9]+)*$/);
  expect(new Set(Object.values(ERROR_CODES))).toEqual(
    new Set(['image', 'request', 'busy', 'io', 'internal']),
  );
});

test('a hint has a name for programs, until another one takes its place', () => {
  const error = new QsnapError('UNSAVED_CHANGES', 'it differs', hinted('save-or-discard-changes'));
  expect(error.details.hintCode).toBe('save-or-discard-changes');
  expect(error.toJSON()).toMatchObject({ 'hint-code': 'save-or-discard-changes' });
  expect(error.with({ at: 1 }).details).toEqual({ ...error.details, at: 1 });
  expect(error.with({ hint: 'another' }).details).toEqual({ hint: 'another' });
  expect(error.with(hinted('check-image')).details).toEqual(hinted('check-image'));
});
