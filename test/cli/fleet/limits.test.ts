/** What a worker asks of a store at most: images at once, and bytes a second. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { failedRecord } from '../../../src/cli/fleet/examine/failed-record.js';
import { throttled } from '../../../src/cli/fleet/examine/throttled.js';
import type { Database, Sql } from '../../../src/cli/fleet/database/database.js';
import type { Job, Queue } from '../../../src/cli/fleet/queue/queue.js';
import { runWorker } from '../../../src/cli/fleet/worker/run-worker.js';
import { ThreadPool } from '../../../src/cli/pool/thread-pool.js';
import { memoryDevice } from '../../../src/index.js';

/** Of one in four images. */
const storeOf = (i: number): string => (i % 4 === 0 ? 'file' : 'https://host');

/** One in three is a range of a large disk. */
const jobOf = (i: number): Job => ({
  id: String(i),
  attempt: 0,
  image: i,
  reading: 1,
  location: `/${i}`,
  store: storeOf(i),
  tries: 0,
  ...(i % 3 === 0
    ? { kind: 'range', version: '1', position: 0, firstPiece: 0, pieces: 1 }
    : { kind: 'image' }),
});

/** A database and a queue with nothing but so many jobs; tells which were ended. */
function worldOf(count: number) {
  const waiting = Array.from({ length: count }, (_, i) => jobOf(i));
  const ended: string[] = [];
  const place = { policy: { rules: [], exceptions: [] }, hashes: false, force_share: false };
  const sql: Sql = {
    query: (text, [images] = []) => {
      const isWanted = text.startsWith('select 1 from qsnap.hash_ranges');
      const rows = text.startsWith('select images.id')
        ? (images as number[]).map((id) => ({ id, ...place }))
        : [];
      return Promise.resolve({ columns: [], rows: (isWanted ? [{}] : rows) as never[] });
    },
  };
  const database = { ...sql, transaction: (work: (sql: Sql) => unknown) => work(sql) };
  const queue = {
    take: (room: number) => Promise.resolve(waiting.splice(0, room)),
    keep: () => Promise.resolve(),
    finish: (_: Sql, jobs: readonly Job[]) => {
      ended.push(...jobs.map(({ id }) => id));
      return Promise.resolve(jobs.length);
    },
    takeGivenUp: () => Promise.resolve([]),
    giveBack: () => Promise.resolve(),
  };
  return {
    database: database as unknown as Database,
    queue: queue as unknown as Queue,
    ended,
  };
}

test('no store has more images at once than it may, and every job is done', async () => {
  const { database, queue, ended } = worldOf(40);
  const running: Record<string, number> = { file: 0, 'https://host': 0 };
  const most: Record<string, number> = { file: 0, 'https://host': 0 };
  const pool = new ThreadPool({
    size: 4,
    worker: async (name, argument) => {
      const { location, options } = argument as {
        location: string;
        options: { bytesPerSecond?: number };
      };
      const store = storeOf(Number(location.slice(1)));
      expect(options.bytesPerSecond).toBe(store === 'file' ? undefined : 5000);
      running[store]! += 1;
      most[store] = Math.max(most[store]!, running[store]!);
      await sleep(2);
      running[store]! -= 1;
      return name === 'hash' ? { kind: 'stale' } : failedRecord('OPEN_FAILED', 'nothing is there');
    },
  });
  await runWorker(database, queue, pool, {
    images: 4,
    limits: new Map([['https://host', { images: 2, bytesPerSecond: 10_000 }]]),
    once: true,
    signal: new AbortController().signal,
    now: () => new Date(0),
    patienceMs: 0,
  });
  expect(ended.toSorted((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 40 }, (_, i) => String(i)),
  );
  expect(most['https://host']).toBe(2);
  expect(most['file']).toBe(2);
});

test('bytes come as fast as they may, and all of them come', async () => {
  const bytes = Uint8Array.from({ length: 30_000 }, (_, i) => i % 251);
  const source = throttled(memoryDevice(bytes), 200_000);
  const begun = performance.now();
  const read = new Uint8Array(30_000);
  for (let at = 0; at < 30_000; at += 10_000) {
    await source.readBatch([{ at, into: read.subarray(at, at + 10_000) }]);
  }
  // The last ten thousand wait for the twenty before.
  expect(performance.now() - begun).toBeGreaterThan(95);
  expect(read).toEqual(bytes);
  expect(await source.sizeBytes()).toBe(30_000);
  expect(throttled(source, undefined)).toBe(source);
});
