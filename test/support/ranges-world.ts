/** A catalogue with one place, whose image has large disks, and two workers that go step by step. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../src/cli/fleet/database/database.js';
import type { HashLimits } from '../../src/cli/fleet/examine/pieces.js';
import { keepPlace } from '../../src/cli/fleet/places/keep-place.js';
import { syncPlace } from '../../src/cli/fleet/places/sync-place.js';
import type { Job, Queue } from '../../src/cli/fleet/queue/queue.js';
import { doJob, withPlaces, type Finished } from '../../src/cli/fleet/worker/do-job.js';
import { runWorker, type WorkerWatch } from '../../src/cli/fleet/worker/run-worker.js';
import { storeFinished, type StoredCounts } from '../../src/cli/fleet/worker/store-finished.js';
import { doTask } from '../../src/cli/pool/tasks.js';
import { ThreadPool } from '../../src/cli/pool/thread-pool.js';
import { temporaryDirectory } from './directories.js';
import { SMALL_LIMITS } from './large-images.js';

const NOW = new Date('2026-11-22T14:03:12.345Z');

interface Working {
  readonly limits?: HashLimits;
  readonly pool?: ThreadPool;
  readonly watch?: WorkerWatch;
}

export class RangesWorld {
  readonly folder: string;
  readonly image: string;
  readonly database: Database;
  readonly queues: readonly [Queue, Queue];
  readonly pool = new ThreadPool({ size: 2, worker: doTask });

  constructor(database: Database, queues: readonly [Queue, Queue], folder = temporaryDirectory()) {
    this.folder = folder;
    this.image = join(folder, 'large.qcow2');
    this.database = database;
    this.queues = queues;
  }

  async look(rereads = false): Promise<void> {
    await keepPlace(
      this.database,
      this.folder,
      { policy: undefined, hashes: true, forceShare: false },
      NOW,
    );
    await syncPlace(this.database, this.queues[0], this.folder, { now: NOW, rereads });
  }

  /** Runs a worker until nothing waits; tells how many images and ranges it stored. */
  async work(worker: 0 | 1 = 0, options: Working = {}): Promise<StoredCounts> {
    const { limits = SMALL_LIMITS, pool = this.pool, watch } = options;
    const stored = { images: 0, ranges: 0 };
    await runWorker(this.database, this.queues[worker], pool, {
      images: 2,
      limits: new Map(),
      hashLimits: limits,
      once: true,
      signal: new AbortController().signal,
      now: () => NOW,
      patienceMs: 0,
      watch: {
        ...watch,
        onStored: (counts) => {
          watch?.onStored?.(counts);
          stored.images += counts.images;
          stored.ranges += counts.ranges;
        },
      },
    });
    return stored;
  }

  async take(count = 1): Promise<readonly Job[]> {
    return this.queues[0].take(count, []);
  }

  /** Does a job as a worker does it, and stores nothing yet. */
  async do(job: Job): Promise<Finished> {
    const [taken] = await withPlaces(this.database, [job]);
    return doJob(taken!, {
      database: this.database,
      pool: this.pool,
      hashLimits: SMALL_LIMITS,
      now: () => NOW,
      bytesPerSecond: () => undefined,
      patiently: (work) => work(),
    });
  }

  /** @returns how many of the jobs were still this worker's. */
  async store(...finished: readonly Finished[]): Promise<number> {
    return this.database.transaction(async (sql) => {
      const ended = await this.queues[0].finish(
        sql,
        finished.map(({ job }) => job),
      );
      await storeFinished(sql, this.queues[0], finished, NOW);
      return ended;
    });
  }

  /** Takes a job, does it and stores what came of it. */
  async step(): Promise<Finished> {
    const [job] = await this.take();
    const finished = await this.do(job!);
    await this.store(finished);
    return finished;
  }

  /** Writes the image, and looks at the place. */
  async write(bytes: Uint8Array): Promise<void> {
    writeFileSync(this.image, bytes);
    await this.look();
  }

  /** All that the catalogue has of the place, but when it was read. */
  async rows(): Promise<readonly object[]> {
    const { rows } = await this.database.query(
      `select location, state, have, wanted, stamp, error_code, position, content_sha256, freed_bytes
      from qsnap.images left join qsnap.disks on image_id = images.id
      where place = $1 order by location, position`,
      [this.folder],
    );
    return rows;
  }

  async hashes(): Promise<readonly (string | null)[]> {
    const { rows } = await this.database.query<{ content_sha256: string | null }>(
      `select content_sha256 from qsnap.disks join qsnap.images on images.id = image_id
      where location = $1 order by position`,
      [this.image],
    );
    return rows.map(({ content_sha256: hash }) => hash);
  }

  async state(): Promise<object> {
    const { rows } = await this.database.query(
      'select state, error_code, have = wanted as is_read from qsnap.images where location = $1',
      [this.image],
    );
    return rows[0]!;
  }

  /** Ranges that the catalogue still has, and jobs that wait or run. */
  async leftovers(): Promise<object> {
    const { rows } = await this.database.query(
      `select (select count(*)::int4 from qsnap.hash_ranges) as ranges, (select count(*)::int4
        from qsnap_queue.job where state in ('created', 'retry', 'active')) as jobs`,
    );
    return rows[0]!;
  }
}
