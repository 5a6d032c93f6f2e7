import { availableParallelism } from 'node:os';
import { startProgress } from '../../progress.js';
import { doTask } from '../../pool/tasks.js';
import { ThreadPool, threadProgram } from '../../pool/thread-pool.js';
import { countText } from '../../text.js';
import type { Context } from '../../qsnap/context.js';
import type { Database } from '../database/database.js';
import type { Queue } from '../queue/queue.js';
import type { StoreLimit } from '../worker/limits.js';
import { countWaiting } from '../worker/count-waiting.js';
import { runWorker, type WorkerWatch } from '../worker/run-worker.js';

/** Flags of every command that reads images for a catalogue. */
export interface WorkFlags {
  /** Images at once. */
  readonly jobs?: number;
  readonly limit?: readonly (readonly [store: string, limit: StoreLimit])[];
  /** Seconds that one image may take. */
  readonly timeout?: number;
}

/** How long a database may be away before a worker gives up. */
export const PATIENCE_MS = 300_000;
/** An image takes an hour at most, unless somebody says otherwise. */
const TIMEOUT_SECONDS = 3600;
/** Of JavaScript's objects; tables and counts lie outside. */
const HEAP_BYTES = 2 ** 30;

/**
 * Reads the images that wait, until none does.
 *
 * @returns how many readings were stored; undefined where the work was stopped.
 */
export async function workThrough(
  database: Database,
  queue: Queue,
  flags: WorkFlags,
  context: Context,
  watch: WorkerWatch = {},
): Promise<number | undefined> {
  let waiting = await countWaiting(database);
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`reading ${countText(waiting, 'image')}`);
  let done = 0;
  try {
    return await work(database, queue, flags, context, true, {
      ...watch,
      onDone: (finished, seconds) => {
        watch.onDone?.(finished, seconds);
        const ranges = 'record' in finished ? finished.record.unhashed?.ranges.length : undefined;
        // The image itself waits on.
        if (ranges === undefined) done += 1;
        else waiting += ranges;
        progress.update(done, Math.max(done, waiting));
      },
    });
  } finally {
    progress.stop();
  }
}

/** Runs a worker until it is stopped, or with `once` until no image waits. */
export async function work(
  database: Database,
  queue: Queue,
  flags: WorkFlags,
  { io }: Context,
  once: boolean,
  watch: WorkerWatch,
): Promise<number | undefined> {
  const images = flags.jobs ?? availableParallelism();
  const pool = new ThreadPool({
    size: images,
    timeoutMs: (flags.timeout ?? TIMEOUT_SECONDS) * 1000,
    heapBytes: HEAP_BYTES,
    worker: threadProgram() ?? doTask,
  });
  try {
    return await io.interruptible(async (signal) => {
      const onAbort = (): void => {
        void pool.close();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const stored = await runWorker(database, queue, pool, {
        images,
        limits: new Map(flags.limit ?? []),
        once,
        signal,
        now: () => io.now(),
        patienceMs: PATIENCE_MS,
        watch,
      });
      return signal.aborted ? undefined : stored;
    });
  } finally {
    await pool.close();
  }
}
