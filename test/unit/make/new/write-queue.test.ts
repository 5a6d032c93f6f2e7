import { describe, expect, test } from 'vitest';
import type { WriteRequest } from '../../../../src/io/device.js';
import { WriteQueue } from '../../../../src/make/new/write-queue.js';

const batch = (at: number, bytes = 1): WriteRequest[] => [{ at, bytes: new Uint8Array(bytes) }];
const noFlush = (): Promise<void> => Promise.reject(new Error('a flush of very little'));

test('calls take their turn in order, and run at the same time', async () => {
  const log: string[] = [];
  const open: (() => void)[] = [];
  const queue = new WriteQueue({
    writeBatch: ([request]) => {
      log.push(`write ${request!.at}`);
      return new Promise((resolve) => open.push(resolve));
    },
    flush: noFlush,
  });
  const first = queue.inTurn([batch(1), batch(2)]);
  const second = queue.inTurn([batch(3)]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(log).toEqual(['write 1', 'write 2', 'write 3']);
  for (const resolve of open) resolve();
  await Promise.all([first, second, queue.drain()]);
});

test('the first failure is the answer to everything afterwards', async () => {
  const writeBatch = (): Promise<void> => Promise.reject(new Error('full'));
  const queue = new WriteQueue({ writeBatch, flush: noFlush });
  await expect(queue.inTurn([batch(0)])).rejects.toThrow('full');
  await expect(queue.inTurn([])).rejects.toThrow('full');
  await expect(queue.drain()).rejects.toThrow('full');
});

describe('what is much is flushed while more is written', () => {
  const MUCH = 32 * 2 ** 20;

  test('the next writes are not held up; the flush is over when the queue is drained', async () => {
    let over = false;
    let end: () => void = () => undefined;
    const flush = (): Promise<void> => {
      return new Promise<void>((resolve) => (end = resolve)).then(() => {
        over = true;
      });
    };
    const queue = new WriteQueue({ writeBatch: () => Promise.resolve(), flush });
    await queue.inTurn([batch(0, MUCH)]);
    await queue.inTurn([batch(MUCH)]);
    expect(over).toBe(false);
    setTimeout(end, 5);
    await queue.drain();
    expect(over).toBe(true);
  });

  test.each(['before the next write', 'while the last one runs'])(
    'a flush that failed %s is what is told',
    async (when) => {
      let failed = false;
      const flush = async (): Promise<void> => {
        await new Promise((resolve) => setTimeout(resolve, 2));
        failed = true;
        throw new Error('the medium lost it');
      };
      const writeBatch = async (): Promise<void> => {
        await Promise.resolve();
        if (failed) throw new Error('not written any more');
      };
      const queue = new WriteQueue({ writeBatch, flush });
      await queue.inTurn([batch(0, MUCH)]);
      if (when === 'before the next write') {
        while (!failed) await new Promise((resolve) => setTimeout(resolve, 1));
        await expect(queue.inTurn([batch(MUCH)])).rejects.toThrow('the medium lost it');
      }
      await expect(queue.drain()).rejects.toThrow('the medium lost it');
    },
  );
});
