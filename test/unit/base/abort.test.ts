import { expect, test } from 'vitest';
import { throwIfAborted } from '../../../src/base/abort.js';

test('nothing happens until the stop is asked for', () => {
  const controller = new AbortController();
  throwIfAborted(undefined, 'the copy');
  throwIfAborted(controller.signal, 'the copy');
  controller.abort('enough');
  const message = 'the copy was stopped before it was complete';
  expect(() => {
    throwIfAborted(controller.signal, 'the copy');
  }).toThrow(expect.objectContaining({ code: 'ABORTED', message, cause: 'enough' }) as Error);
});
