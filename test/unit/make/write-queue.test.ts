import { expect, test } from 'vitest';
import { WriteQueue } from '../../../src/make/write-queue.js';

test('calls take their turn in order, and run at the same time', async () => {
  const log: string[] = [];
  const open: (() => void)[] = [];
  const queue = new WriteQueue({
    writeBatch: ([request]) => {
      log.push(`write ${request!.at}`);
      return new Promise((resolve) => open.push(resolve));
    },
  });
  const batch = (at: number) => [{ at, bytes: new Uint8Array(1) }];
  const first = queue.inTurn([batch(1), batch(2)]);
  const second = queue.inTurn([batch(3)]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(log).toEqual(['write 1', 'write 2', 'write 3']);
  for (const resolve of open) resolve();
  await Promise.all([first, second, queue.drain()]);
});

test('the first failure is the answer to everything afterwards', async () => {
  const queue = new WriteQueue({ writeBatch: () => Promise.reject(new Error('full')) });
  await expect(queue.inTurn([[{ at: 0, bytes: new Uint8Array(1) }]])).rejects.toThrow('full');
  await expect(queue.inTurn([])).rejects.toThrow('full');
  await expect(queue.drain()).rejects.toThrow('full');
});
