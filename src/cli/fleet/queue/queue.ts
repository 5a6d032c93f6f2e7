import { PgBoss, type JobWithMetadata } from 'pg-boss';
import type { Database, Sql } from '../database/database.js';
import type { PieceRange } from '../examine/pieces.js';

/** Of the queue's own tables. */
const SCHEMA = 'qsnap_queue';
const IMAGES = 'images';
/** Jobs whose workers died again and again. */
const GIVEN_UP = 'given-up';

/** A worker that is silent so long counts as dead, and its jobs go to others. The least that pg-boss takes is 10. */
export const HEARTBEAT_SECONDS = 10;

/** How long one job may take at most: a day of reading. */
const EXPIRES_SECONDS = 23 * 3600;

/** How often a job is begun anew whose worker died or was stopped. */
const RETRIES = 10;

/** How long a job may wait: an image must not wait for one that is gone. */
const WAITS_SECONDS = 365 * 86_400;

/** Jobs put into the queue by one statement. */
const INSERT_AT_ONCE = 1000;

/** What jobs have in common. */
interface OfImage {
  /** `qsnap.images.id`. */
  readonly image: number;
  /** Which reading: `qsnap.images.wanted`. An older one has nothing to do. */
  readonly reading: number;
  readonly location: string;
  /** Whom the limits are set for. */
  readonly store: string;
  /** How often it turned out before that the image had changed since its ranges were planned. */
  readonly tries: number;
}

/** Read an image for the catalogue. */
export interface ImageTask extends OfImage {
  readonly kind: 'image';
}

/** Hash a range of a large disk: a row of `qsnap.hash_ranges`. */
export interface RangeTask extends OfImage, PieceRange {
  readonly kind: 'range';
  /** Of the image, as the plan has it. */
  readonly version: string;
}

/** What one job is to do. */
export type Task = ImageTask | RangeTask;

/** A job that this worker has. */
interface Held {
  readonly id: string;
  /** Counts the workers that had it before: a worker that was given up can't finish it any more. */
  readonly attempt: number;
}
export type ImageJob = ImageTask & Held;
export type RangeJob = RangeTask & Held;
export type Job = ImageJob | RangeJob;

/** As it lies in the queue: the first version had images only. */
type StoredTask = RangeTask | (Omit<ImageTask, 'kind' | 'tries'> & Partial<ImageTask>);

/** The jobs of a catalogue, in its database. */
export class Queue {
  readonly #boss: PgBoss;
  readonly #database: Database;
  /** What went wrong in the background last. */
  lastError: Error | undefined;

  private constructor(boss: PgBoss, database: Database) {
    this.#boss = boss;
    this.#database = database;
    boss.on('error', (error) => {
      this.lastError = error;
    });
    boss.on('warning', () => undefined);
  }

  /** Opens the queue, and makes its tables where there are none. */
  static async open(database: Database): Promise<Queue> {
    const boss = new PgBoss({
      ...database.queueOptions,
      schema: SCHEMA,
      schedule: false,
      superviseIntervalSeconds: 1,
      monitorIntervalSeconds: 1,
    });
    const queue = new Queue(boss, database);
    await boss.start();
    await boss.createQueue(GIVEN_UP, { retentionSeconds: WAITS_SECONDS });
    await boss.createQueue(IMAGES, {
      deadLetter: GIVEN_UP,
      heartbeatSeconds: HEARTBEAT_SECONDS,
      expireInSeconds: EXPIRES_SECONDS,
      retryLimit: RETRIES,
      retryDelay: 0,
      retentionSeconds: WAITS_SECONDS,
      deleteAfterSeconds: 3600,
    });
    if (database.isEmbedded) await queue.#takeBack();
    return queue;
  }

  /** Nobody else has an embedded database: what is being worked on is of a process that died. */
  async #takeBack(): Promise<void> {
    const { rows } = await this.#database.query<{ id: string }>(
      `select id from ${SCHEMA}.job where name = $1 and state = 'active'`,
      [IMAGES],
    );
    if (rows.length > 0) {
      await this.#boss.fail(
        IMAGES,
        rows.map(({ id }) => id),
        { reason: 'its worker ended' },
      );
    }
  }

  /** Puts tasks into the queue as part of a transaction. */
  async add(sql: Sql, tasks: readonly Task[]): Promise<void> {
    const db = over(sql);
    for (let from = 0; from < tasks.length; from += INSERT_AT_ONCE) {
      const jobs = tasks.slice(from, from + INSERT_AT_ONCE);
      await this.#boss.insert(
        IMAGES,
        jobs.map((task) => ({ data: { ...task }, group: { id: task.store } })),
        { db },
      );
    }
  }

  /**
   * Takes up to `count` jobs for this worker.
   *
   * @param busy stores that may have no more jobs now.
   */
  async take(count: number, busy: readonly string[]): Promise<readonly Job[]> {
    const jobs = await this.#boss.fetch<StoredTask>(IMAGES, {
      batchSize: count,
      includeMetadata: true,
      ignoreGroups: busy.length > 0 ? [...busy] : null,
    });
    return jobs.map(jobOf);
  }

  /** Tells that this worker lives and still has these jobs. */
  async keep(jobs: readonly Job[]): Promise<void> {
    if (jobs.length > 0) await this.#boss.touch(IMAGES, jobs.map(attemptOf));
  }

  /**
   * Ends jobs as part of a transaction.
   *
   * @returns how many of them this worker still had.
   */
  async finish(sql: Sql, jobs: readonly Job[]): Promise<number> {
    const answer = await this.#boss.complete(IMAGES, jobs.map(attemptOf), undefined, {
      db: over(sql),
    });
    // The package's types leave out what it answers.
    return (answer as { readonly affected: number }).affected;
  }

  /** Gives jobs back at once, for other workers. */
  async giveBack(jobs: readonly Job[]): Promise<void> {
    if (jobs.length > 0) await this.#boss.fail(IMAGES, jobs.map(attemptOf), { reason: 'stopped' });
  }

  /** Takes tasks that were given up; `finishGivenUp` ends them. */
  async takeGivenUp(): Promise<readonly Job[]> {
    const jobs = await this.#boss.fetch<StoredTask>(GIVEN_UP, {
      batchSize: 100,
      includeMetadata: true,
    });
    return jobs.map(jobOf);
  }

  async finishGivenUp(sql: Sql, jobs: readonly Job[]): Promise<void> {
    await this.#boss.complete(GIVEN_UP, jobs.map(attemptOf), undefined, {
      db: over(sql),
    });
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: true });
  }
}

/** A transaction's connection, as pg-boss takes one. */
const over = (sql: Sql) => ({
  executeSql: async (text: string, values?: unknown[]) => ({
    rows: [...(await sql.query(text, values)).rows],
  }),
});

const jobOf = ({ id, retryCount, data }: JobWithMetadata<StoredTask>): Job => ({
  ...(data.kind === 'range' ? data : { ...data, kind: 'image', tries: data.tries ?? 0 }),
  id,
  attempt: retryCount,
});

const attemptOf = ({ id, attempt }: Held): { id: string; retryCount: number } => ({
  id,
  retryCount: attempt,
});
