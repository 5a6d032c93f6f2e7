import { setTimeout as sleep } from 'node:timers/promises';
import type { ThreadPool } from '../../pool/thread-pool.js';
import type { Database } from '../database/database.js';
import { HASH_LIMITS, type HashLimits } from '../examine/pieces.js';
import { HEARTBEAT_SECONDS, type Job, type Queue } from '../queue/queue.js';
import { doJob, givenUp, withPlaces, type Finished, type Means, type TakenJob } from './do-job.js';
import { Places, type StoreLimits } from './limits.js';
import { patiently } from './patience.js';
import { storeFinished, type StoredCounts } from './store-finished.js';

/** How a worker works. */
export interface WorkerOptions {
  /** Images, or ranges of large disks, at once. */
  readonly images: number;
  readonly limits: StoreLimits;
  /** Other ones than usual. */
  readonly hashLimits?: HashLimits | undefined;
  /** Whether it ends when no image waits any more; else it waits for more. */
  readonly once: boolean;
  readonly signal: AbortSignal;
  now(): Date;
  /** How long the database may be away. */
  readonly patienceMs: number;
  readonly watch?: WorkerWatch | undefined;
}

/** Is told what a worker does. */
export interface WorkerWatch {
  onBegun?(job: Job): void;
  onDone?(finished: Finished, seconds: number): void;
  onStored?(counts: StoredCounts): void;
}

/** Results that are stored by one transaction at most, and how long one waits for others. */
const STORE_AT_ONCE = 25;
const STORE_AFTER_MS = 200;
/** A worker takes jobs for about as long ahead, and not many: they are lost for a while with a worker that dies. */
const AHEAD_SECONDS = 0.5;
const AHEAD_MAX = 8;
/** How long a worker without jobs waits before it asks again. */
const ASK_AGAIN_MS = 300;
const KEEP_EVERY_MS = (HEARTBEAT_SECONDS * 1000) / 3;

/**
 * Works on the images that wait in a catalogue, beside any number of other workers. A result and the end of its job are
 * one transaction: a worker that dies leaves the job to others, and one that was given up stores nothing.
 *
 * @returns how many readings this worker stored.
 */
export async function runWorker(
  database: Database,
  queue: Queue,
  pool: ThreadPool,
  options: WorkerOptions,
): Promise<number> {
  return new Working(database, queue, pool, options).run();
}

class Working {
  readonly #database: Database;
  readonly #queue: Queue;
  readonly #options: WorkerOptions;
  readonly #places: Places;
  readonly #means: Means;
  /** Jobs that this worker has, by id: waiting, running or finished and not stored. */
  readonly #held = new Map<string, Job>();
  #backlog: readonly TakenJob[] = [];
  #running = 0;
  #finished: Finished[] = [];
  #oldestFinished = 0;
  #stored = 0;
  /** What the last job took. */
  #secondsEach = Infinity;
  #wake: () => void = () => undefined;
  #bug: Error | undefined;

  constructor(database: Database, queue: Queue, pool: ThreadPool, options: WorkerOptions) {
    this.#database = database;
    this.#queue = queue;
    this.#options = options;
    this.#places = new Places(options.limits);
    this.#means = {
      database,
      pool,
      hashLimits: options.hashLimits ?? HASH_LIMITS,
      now: () => options.now(),
      bytesPerSecond: (store) => this.#places.bytesPerSecond(store),
      patiently: (work) => this.#patiently(work),
    };
  }

  async run(): Promise<number> {
    const keep = setInterval(() => {
      // A heartbeat that is lost is made up for by the next one.
      this.#queue.keep([...this.#held.values()]).catch(() => undefined);
    }, KEEP_EVERY_MS);
    const onAbort = (): void => {
      this.#wake();
    };
    this.#options.signal.addEventListener('abort', onAbort);
    try {
      await this.#loop();
    } finally {
      clearInterval(keep);
      this.#options.signal.removeEventListener('abort', onAbort);
      await this.#giveBack();
    }
    return this.#stored;
  }

  async #loop(): Promise<void> {
    const { signal, images, once } = this.#options;
    while (!signal.aborted) {
      if (this.#bug !== undefined) throw this.#bug;
      this.#begin();
      const ahead = this.#ahead();
      const room = images + ahead - this.#backlog.length - this.#running;
      const taken = room > ahead / 2 ? await this.#take(room) : 0;
      this.#begin();
      if (this.#isTimeToStore()) await this.#store();
      if (this.#running > 0) await this.#untilWoken();
      else if (this.#finished.length > 0) await this.#store();
      else if (taken === 0 && this.#backlog.length === 0) {
        await this.#endGivenUp();
        if (once && !(await this.#isAnyWaiting())) return;
        await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** How many jobs wait here for a thread at most. */
  #ahead(): number {
    const { images } = this.#options;
    const atOnce = Math.floor((images * AHEAD_SECONDS) / this.#secondsEach);
    return Math.max(images, Math.min(atOnce, AHEAD_MAX));
  }

  async #take(count: number): Promise<number> {
    const jobs = await this.#patiently(() => this.#queue.take(count, this.#places.full()));
    for (const job of jobs) this.#held.set(job.id, job);
    const taken = await this.#patiently(() => withPlaces(this.#database, jobs));
    this.#backlog = [...this.#backlog, ...taken];
    return jobs.length;
  }

  #begin(): void {
    const later: TakenJob[] = [];
    for (const taken of this.#backlog) {
      const isFull = this.#places.isFull(taken.job.store);
      if (isFull || this.#running >= this.#options.images) later.push(taken);
      else this.#start(taken);
    }
    this.#backlog = later;
  }

  #start(taken: TakenJob): void {
    const { job } = taken;
    this.#running += 1;
    this.#places.begin(job.store);
    this.#options.watch?.onBegun?.(job);
    const begun = performance.now();
    doJob(taken, this.#means)
      .then(
        (finished) => {
          const seconds = (performance.now() - begun) / 1000;
          this.#secondsEach = seconds;
          if (this.#finished.length === 0) this.#oldestFinished = performance.now();
          this.#finished.push(finished);
          this.#options.watch?.onDone?.(finished, seconds);
        },
        (error: unknown) => {
          // A stopped worker's threads are lost; its jobs go back.
          if (!this.#options.signal.aborted)
            this.#bug = error instanceof Error ? error : new Error(String(error));
        },
      )
      .finally(() => {
        this.#running -= 1;
        this.#places.end(job.store);
        this.#wake();
      });
  }

  #isTimeToStore(): boolean {
    if (this.#finished.length === 0) return false;
    const waits = performance.now() - this.#oldestFinished > STORE_AFTER_MS;
    return waits || this.#finished.length >= STORE_AT_ONCE;
  }

  async #untilWoken(): Promise<void> {
    const left = this.#finished.length > 0 ? STORE_AFTER_MS : KEEP_EVERY_MS;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, left);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #store(): Promise<void> {
    const finished = this.#finished;
    this.#finished = [];
    const together = await this.#patiently(() => this.#storeTogether(finished));
    if (together === undefined) {
      // One of them is another worker's by now: each for itself.
      for (const one of finished) await this.#patiently(() => this.#storeTogether([one]));
    }
    for (const { job } of finished) this.#held.delete(job.id);
  }

  /** @returns undefined, and nothing is stored, where not all of the jobs are still this worker's. */
  async #storeTogether(finished: readonly Finished[]): Promise<StoredCounts | undefined> {
    const now = this.#options.now();
    try {
      const counts = await this.#database.transaction(async (sql) => {
        const jobs = finished.map(({ job }) => job);
        if ((await this.#queue.finish(sql, jobs)) < jobs.length) throw NOT_OURS;
        return storeFinished(sql, this.#queue, finished, now);
      });
      this.#stored += counts.images;
      this.#options.watch?.onStored?.(counts);
      return counts;
    } catch (error) {
      if (error === NOT_OURS) return undefined;
      throw error;
    }
  }

  /** Whose workers died again and again is read by nobody any more. */
  async #endGivenUp(): Promise<void> {
    const jobs = await this.#patiently(() => this.#queue.takeGivenUp());
    if (jobs.length === 0) return;
    await this.#patiently(() =>
      this.#database.transaction(async (sql) => {
        await storeFinished(sql, this.#queue, jobs.map(givenUp), this.#options.now());
        await this.#queue.finishGivenUp(sql, jobs);
      }),
    );
  }

  async #isAnyWaiting(): Promise<boolean> {
    const { rows } = await this.#patiently(() =>
      this.#database.query('select 1 from qsnap.images where have < wanted limit 1'),
    );
    return rows.length > 0;
  }

  async #giveBack(): Promise<void> {
    // Where that fails, the silence of this worker gives them back.
    await this.#queue.giveBack([...this.#held.values()]).catch(() => undefined);
  }

  #patiently<T>(work: () => Promise<T>): Promise<T> {
    return patiently(work, this.#options.patienceMs, this.#options.signal);
  }
}

const NOT_OURS = new Error('a job is another worker’s by now');
