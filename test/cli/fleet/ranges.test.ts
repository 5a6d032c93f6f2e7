/** Large disks are hashed a range a job, by any number of workers: nothing is stored twice, and nothing is lost. */
import { rmSync, writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { forgetPlace } from '../../../src/cli/fleet/places/keep-place.js';
import { Queue } from '../../../src/cli/fleet/queue/queue.js';
import { givenUp } from '../../../src/cli/fleet/worker/do-job.js';
import { serveMetrics } from '../../../src/cli/fleet/worker/metrics.js';
import { doTask } from '../../../src/cli/pool/tasks.js';
import { ThreadLost, ThreadPool } from '../../../src/cli/pool/thread-pool.js';
import { openCatalogs, type Catalogs } from '../../support/catalogs.js';
import {
  FILL,
  largeImage,
  RANGES,
  SMALL_LIMITS,
  wantedHashes,
} from '../../support/large-images.js';
import { describeUnless } from '../../support/left-out.js';
import { lackOfPostgres } from '../../support/postgres.js';
import { RangesWorld } from '../../support/ranges-world.js';

const NOTHING_LEFT = { ranges: 0, jobs: 0 };
const READ = { state: 'read', error_code: null, is_read: true };
const failed = (code: string) => ({ state: 'failed', error_code: code, is_read: true });

let catalogs: Catalogs;
beforeAll(async () => {
  catalogs = await openCatalogs();
}, 60_000);
afterAll(() => catalogs.close());

describe('ranges of large disks, in a folder', () => {
  cases(true);
});
describeUnless(
  lackOfPostgres(),
  'QSNAP_REQUIRE_POSTGRES',
  'ranges of large disks, on a server',
  () => {
    cases(false);
  },
);

function cases(isEmbedded: boolean): void {
  let world: RangesWorld;
  let queues: readonly [Queue, Queue];
  const bytesOf = new Map<number, Uint8Array>();
  const imageOf = (fill: number): Uint8Array => bytesOf.get(fill)!;
  beforeAll(async () => {
    const database = catalogs.all.find((one) => one.isEmbedded === isEmbedded)!;
    queues = [await Queue.open(database), await Queue.open(database)];
    for (const fill of [FILL, 20, 30]) bytesOf.set(fill, await largeImage(fill));
  });
  afterAll(async () => {
    for (const queue of queues) await queue.close();
  });
  beforeEach(async () => {
    world = new RangesWorld(
      catalogs.all.find((one) => one.isEmbedded === isEmbedded)!,
      queues,
    );
    await world.write(imageOf(FILL));
  });

  test('two workers store what one alone stores, each range once', async () => {
    const stored = await Promise.all([world.work(0), world.work(1)]);
    expect(stored[0].ranges + stored[1].ranges).toBe(RANGES);
    expect(stored[0].images + stored[1].images).toBe(1);
    const rows = await world.rows();
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(FILL)));
    expect(await world.state()).toEqual(READ);
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
    await forgetPlace(world.database, world.folder);
    await world.look();
    const limits = { ...SMALL_LIMITS, piecesPerJob: 1000 };
    expect(await world.work(0, { limits })).toEqual({ images: 1, ranges: 2 });
    expect(await world.rows()).toEqual(rows);
  });

  test('the image waits until all of it is read, and its reading is one', async () => {
    await world.step();
    expect(await world.leftovers()).toEqual({ ranges: RANGES, jobs: RANGES });
    for (let i = 0; i < RANGES; i++) {
      expect(await world.state()).toEqual({ state: 'waiting', error_code: null, is_read: false });
      expect((await world.step()).job.kind).toBe('range');
    }
    expect(await world.leftovers()).toEqual({ ranges: RANGES, jobs: 1 });
    await world.step();
    expect(await world.state()).toEqual(READ);
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(FILL)));
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test('an image that changes between two ranges is planned anew', async () => {
    for (let i = 0; i < 3; i++) await world.step();
    writeFileSync(world.image, imageOf(20));
    expect(await world.step()).toMatchObject({ range: { kind: 'changed' } });
    // Ranges of the plan before are still in the queue, and read nothing.
    expect(await world.step()).toMatchObject({ range: { kind: 'stale' } });
    expect(await world.work()).toEqual({ images: 1, ranges: RANGES });
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(20)));
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test('what was read for a plan before has no effect on this one', async () => {
    await world.step();
    const [first, second, third] = await world.take(3);
    const late = await world.do(second!);
    expect(late).toMatchObject({ range: { kind: 'read' } });
    writeFileSync(world.image, imageOf(20));
    const changed = [await world.do(first!), await world.do(third!)];
    await world.store(changed[0]!);
    while ((await world.step()).job.kind === 'range');
    await world.store(late, changed[1]!);
    expect(await world.leftovers()).toEqual({ ranges: RANGES, jobs: RANGES });
    expect(await world.work()).toEqual({ images: 1, ranges: RANGES });
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(20)));
  });

  test('an image that changes after its last range is planned anew', async () => {
    for (let i = 0; i < 1 + RANGES; i++) await world.step();
    writeFileSync(world.image, imageOf(20));
    expect(await world.work()).toEqual({ images: 1, ranges: RANGES });
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(20)));
  });

  test.each(['before a range is read', 'after the last one'])(
    'what changes again and again %s has failed',
    async (when) => {
      for (const fill of [20, 30, FILL]) {
        // The first of the queue may be ranges of the plan before.
        while ((await world.step()).job.kind === 'range');
        if (when === 'after the last one') {
          for (let i = 0; i < RANGES; i++) await world.step();
        }
        expect(await world.state()).toMatchObject({ is_read: false });
        writeFileSync(world.image, imageOf(fill));
        if (when !== 'after the last one') await world.step();
      }
      await world.work();
      expect(await world.state()).toEqual(failed('IMAGE_CHANGED'));
      expect(await world.leftovers()).toEqual(NOTHING_LEFT);
    },
  );

  test('ranges of a reading that nobody wants any more have no effect', async () => {
    await world.step();
    const [range, other] = await world.take(2);
    await world.store(givenUp(range!));
    expect(await world.state()).toEqual(failed('GIVEN_UP'));
    await world.look(true);
    // Done before the next reading began, and stored after its plan.
    const late = { job: other!, range: { kind: 'read', digests: 'ff'.repeat(96) } } as const;
    while ((await world.step()).job.kind === 'range');
    expect(await world.store(late as never)).toBe(1);
    expect(await world.work()).toEqual({ images: 1, ranges: RANGES });
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(FILL)));
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test('what is removed meanwhile is forgotten', async () => {
    await world.step();
    const [range] = await world.take();
    const done = await world.do(range!);
    await forgetPlace(world.database, world.folder);
    await world.store(done);
    expect(await world.work()).toEqual({ images: 0, ranges: 0 });
    // A worker ends when no image waits; the jobs say nothing to it.
    for (const job of await world.take(RANGES)) await world.store(await world.do(job));
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test('what is gone meanwhile is gone', async () => {
    await world.step();
    rmSync(world.image);
    await world.work();
    expect(await world.state()).toEqual({ state: 'gone', error_code: null, is_read: true });
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test('a disk with a cluster that is damaged has no hash, and the others have one', async () => {
    const bytes = Buffer.from(imageOf(FILL));
    const packed = deflateRawSync(new Uint8Array(4096).fill(FILL + 1), { level: 9 });
    const at = bytes.indexOf(packed);
    expect(at).toBeGreaterThan(0);
    bytes.fill(0xff, at, at + packed.length);
    writeFileSync(world.image, bytes);
    await world.step();
    const jobs = (await world.take(RANGES)).flatMap((job) => (job.kind === 'range' ? [job] : []));
    jobs.sort((a, b) => a.position - b.position || a.firstPiece - b.firstPiece);
    const kinds: unknown[] = [];
    for (const job of jobs) {
      const done = await world.do(job);
      await world.store(done);
      if ('range' in done) kinds.push(done.range.kind);
    }
    // What is left of that disk is not read.
    expect(kinds).toEqual(['read', 'read', 'unreadable', 'stale', 'read', 'read', 'read']);
    await world.work();
    expect(await world.hashes()).toEqual([null, wantedHashes(imageOf(FILL))[1]]);
    expect(await world.state()).toEqual(READ);
  });

  test('a thread that is lost with a range costs the image its reading, and no other one', async () => {
    let hashed = 0;
    const pool = new ThreadPool({
      size: 2,
      worker: (name, argument) => {
        if (name === 'hash') hashed += 1;
        return name === 'hash' && hashed === 2
          ? Promise.reject(new ThreadLost('timeout', 'it took more than 1 s'))
          : doTask(name, argument);
      },
    });
    await world.work(0, { pool });
    expect(await world.state()).toEqual(failed('TIMED_OUT'));
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test('a worker that was given up stores nothing', async () => {
    await world.step();
    const [range] = await world.take();
    const done = await world.do(range!);
    await queues[0].giveBack([range!]);
    expect(await world.work(1)).toEqual({ images: 1, ranges: RANGES });
    expect(await world.store(done)).toBe(0);
    expect(await world.hashes()).toEqual(wantedHashes(imageOf(FILL)));
  });

  test('metrics count an image once, and its ranges apart', async () => {
    const metrics = await serveMetrics(world.database, 0);
    await world.work(0, { watch: metrics.watch });
    const text = await (await fetch(metrics.address)).text();
    await metrics.close();
    const told = [...text.matchAll(/^(qsnap_\S+(?:total|running|waiting|count\S*)) (\d+)$/gm)];
    expect(Object.fromEntries(told.map(([, name, value]) => [name, Number(value)]))).toEqual({
      qsnap_images_waiting: 0,
      qsnap_images_running: 0,
      'qsnap_image_seconds_count{outcome="read"}': 1,
      qsnap_images_stored_total: 1,
      qsnap_ranges_stored_total: RANGES,
    });
  });
}
