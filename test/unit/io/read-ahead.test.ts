import { expect, test } from 'vitest';
import { readAhead } from '../../../src/io/read-ahead.js';

async function* counting(log: string[], end: number, failAt = Infinity): AsyncGenerator<number> {
  try {
    for (let i = 0; i < end; i += 1) {
      log.push(`make ${i}`);
      if (i === failAt) throw new Error(`at ${i}`);
      yield await Promise.resolve(i);
    }
  } finally {
    log.push('closed');
  }
}

test('the next item is under way while one is used, and no more than that', async () => {
  const log: string[] = [];
  for await (const item of readAhead(counting(log, 3))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    log.push(`use ${item}`);
  }
  expect(log).toEqual(['make 0', 'make 1', 'use 0', 'make 2', 'use 1', 'closed', 'use 2']);
});

test('a failure comes after the items before it', async () => {
  const got: number[] = [];
  const all = async (): Promise<void> => {
    for await (const item of readAhead(counting([], 5, 2))) got.push(item);
  };
  await expect(all()).rejects.toThrow('at 2');
  expect(got).toEqual([0, 1]);
});

test('who stops early leaves nothing running, and hears of no later failure', async () => {
  const log: string[] = [];
  for await (const item of readAhead(counting(log, 5, 1))) {
    expect(item).toBe(0);
    break;
  }
  expect(log.at(-1)).toBe('closed');
});
