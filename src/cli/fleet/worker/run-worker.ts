import { setTimeout as sleep } from 'node:timers/promises';
import { ThreadLost, type ThreadPool } from '../../pool/thread-pool.js';
import type { Database } from '../database/database.js';
import { failedRecord } from '../examine/failed-record.js';
import type { ImageRecord } from '../examine/record.js';
import { policyFrom, type KeptPolicy } from '../places/kept-policy.js';
import { HEARTBEAT_SECONDS, type Job, type Queue } from '../queue/queue.js';
import { storeRecord } from '../store-record.js';
import { Places, type StoreLimits } from './limits.js';
import { patiently } from './patience.js';

/** How a worker works. */
export interface WorkerOptions {
  /** Images at once. */
  readonly images: number;
  readonly limits: StoreLimits;
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
  onDone?(job: Job, record: ImageRecord, seconds: number): void;
  onStored?(count: number): void;
}

/** Results that are stored by one transaction at most, and how long one waits for others. */
const STORE_AT_ONCE = 25;
const STORE_AFTER_MS = 200;
/** How long a worker without jobs waits before it asks again. */
const ASK_AGAIN_MS = 300;
const KEEP_EVERY_MS = (HEARTBEAT_SECONDS * 1000) / 3;

interface Finished {
  readonly job: Job;
  readonly record: ImageRecord;
}

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
  readonly #pool: ThreadPool;
  readonly #options: WorkerOptions;
  readonly #places: Places;
  /** Jobs that this worker has, by id: waiting, running or finished and not stored. */
  readonly #held = new Map<string, Job>();
  #backlog: Job[] = [];
  #running = 0;
  #finished: Finished[] = [];
  #oldestFinished = 0;
  #stored = 0;
  #wake: () => void = () => undefined;
  #bug: Error | undefined;

  constructor(database: Database, queue: Queue, pool: ThreadPool, options: WorkerOptions) {
    this.#database = database;
    this.#queue = queue;
    this.#pool = pool;
    this.#options = options;
    this.#places = new Places(options.limits);
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
      const room = 2 * images - this.#backlog.length - this.#running;
      const taken = room > images / 2 ? await this.#take(room) : 0;
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

  async #take(count: number): Promise<number> {
    const jobs = await this.#patiently(() => this.#queue.take(count, this.#places.full()));
    for (const job of jobs) this.#held.set(job.id, job);
    this.#backlog.push(...jobs);
    return jobs.length;
  }

  #begin(): void {
    const later: Job[] = [];
    for (const job of this.#backlog) {
      if (this.#running >= this.#options.images || this.#places.isFull(job.store)) later.push(job);
      else this.#start(job);
    }
    this.#backlog = later;
  }

  #start(job: Job): void {
    this.#running += 1;
    this.#places.begin(job.store);
    this.#options.watch?.onBegun?.(job);
    const begun = performance.now();
    this.#examine(job)
      .then(
        (record) => {
          if (this.#finished.length === 0) this.#oldestFinished = performance.now();
          this.#finished.push({ job, record });
          this.#options.watch?.onDone?.(job, record, (performance.now() - begun) / 1000);
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

  /** A thread that is lost with an image costs no other one. */
  async #examine(job: Job): Promise<ImageRecord> {
    const place = await this.#patiently(() => this.#placeOf(job));
    if (place === undefined) return failedRecord('GIVEN_UP', 'it is in the catalogue no more');
    try {
      return await this.#pool.run('examine', {
        location: job.location,
        options: {
          policy: policyFrom(place.policy),
          now: Math.floor(this.#options.now().getTime() / 1000),
          forceShare: place.force_share,
          hash: place.hashes,
          bytesPerSecond: this.#places.bytesPerSecond(job.store),
        },
      });
    } catch (error) {
      if (!(error instanceof ThreadLost) || error.reason === 'stopped') throw error;
      return failedRecord(error.reason === 'timeout' ? 'TIMED_OUT' : 'GIVEN_UP', error.message);
    }
  }

  async #placeOf({ image }: Job): Promise<PlaceRow | undefined> {
    const { rows } = await this.#database.query<PlaceRow>(
      `select places.policy, places.hashes, places.force_share
      from qsnap.images join qsnap.places on places.location = images.place where images.id = $1`,
      [image],
    );
    return rows[0];
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
    const jobs = finished.map(({ job }) => job);
    const before = this.#stored;
    const all = await this.#patiently(() => this.#storeTogether(finished));
    if (all === undefined) {
      // One of them is another worker's by now: each for itself.
      for (const one of finished) await this.#patiently(() => this.#storeTogether([one]));
    }
    for (const { id } of jobs) this.#held.delete(id);
    this.#options.watch?.onStored?.(this.#stored - before);
  }

  /** @returns undefined, and nothing is stored, where not all of the jobs are still this worker's. */
  async #storeTogether(finished: readonly Finished[]): Promise<number | undefined> {
    const now = this.#options.now();
    try {
      const stored = await this.#database.transaction(async (sql) => {
        const jobs = finished.map(({ job }) => job);
        if ((await this.#queue.finish(sql, jobs)) < jobs.length) throw NOT_OURS;
        let count = 0;
        for (const { job, record } of finished) {
          if (await storeRecord(sql, job, record, now)) count += 1;
        }
        return count;
      });
      this.#stored += stored;
      return stored;
    } catch (error) {
      if (error === NOT_OURS) return undefined;
      throw error;
    }
  }

  /** Whose workers died again and again is read by nobody any more. */
  async #endGivenUp(): Promise<void> {
    const jobs = await this.#patiently(() => this.#queue.takeGivenUp());
    if (jobs.length === 0) return;
    const record = failedRecord('GIVEN_UP', 'workers ended again and again while they read it');
    await this.#patiently(() =>
      this.#database.transaction(async (sql) => {
        for (const job of jobs) await storeRecord(sql, job, record, this.#options.now());
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

interface PlaceRow {
  readonly policy: KeptPolicy;
  readonly hashes: boolean;
  readonly force_share: boolean;
}

const NOT_OURS = new Error('a job is another worker’s by now');
