/** Tasks in threads: what is lost with a thread is its own task. */
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { ThreadLost, ThreadPool, type PoolOptions } from '../../../src/cli/pool/thread-pool.js';

const THREAD = fileURLToPath(new URL('../../support/pool-thread.cjs', import.meta.url));

const pools: ThreadPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

function poolOf(options: Partial<PoolOptions> = {}): (argument: unknown) => Promise<unknown> {
  const pool = new ThreadPool({ size: 2, worker: THREAD, ...options });
  pools.push(pool);
  return (argument) => pool.run('examine', argument as never);
}

const reasonOf = async (task: Promise<unknown>): Promise<string> => {
  const error: unknown = await task.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ThreadLost);
  return (error as ThreadLost).reason;
};

test('every task gets its own answer, more tasks than threads', async () => {
  const run = poolOf();
  const tasks = Array.from({ length: 20 }, (_, i) => run(i));
  expect(await Promise.all(tasks)).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

test.each([
  ['hang', 'timeout', { timeoutMs: 2000 }],
  ['hold', 'memory', { heapBytes: 32 * 2 ** 20 }],
  ['throw', 'failed', {}],
  ['end', 'stopped', {}],
] as const)(
  '%s: %s; the tasks beside it and after it are done',
  async (argument, reason, limits) => {
    const run = poolOf(limits);
    const lost = reasonOf(run(argument));
    const others = Array.from({ length: 6 }, (_, i) => run(i));
    expect(await lost).toBe(reason);
    expect(await Promise.all(others)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await run('after')).toBe('after');
  },
);

test('an error that a task throws is thrown here, and its thread goes on', async () => {
  const run = poolOf({ size: 1 });
  await expect(run('error')).rejects.toThrow('an answer of its own');
  expect(await run('after')).toBe('after');
});

test('closing ends what runs, and what comes later is refused', async () => {
  const pool = new ThreadPool({ size: 1, worker: THREAD });
  const running = reasonOf(pool.run('examine', 'hang' as never));
  const waiting = reasonOf(pool.run('examine', 'next' as never));
  await pool.close();
  expect(await running).toBe('stopped');
  expect(await waiting).toBe('stopped');
  expect(await reasonOf(pool.run('examine', 'late' as never))).toBe('stopped');
});

test('without a program the work is done here', async () => {
  const pool = new ThreadPool({
    size: 1,
    worker: (name, argument) => Promise.resolve([name, argument]),
  });
  expect(await pool.run('examine', 'here' as never)).toEqual(['examine', 'here']);
});
