/** Workers are killed while they read ranges of large disks: the result is that of one that nobody disturbs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openCatalog } from '../../../src/cli/fleet/database/open.js';
import { Queue } from '../../../src/cli/fleet/queue/queue.js';
import { temporaryDirectory } from '../../support/directories.js';
import { largeImage, RANGES, wantedHashes } from '../../support/large-images.js';
import { describeUnless, IS_PLAIN, leaveOut, THINNER } from '../../support/left-out.js';
import { lackOfPostgres, startPostgres } from '../../support/postgres.js';
import { RangesWorld } from '../../support/ranges-world.js';

const WORKER = fileURLToPath(new URL('range-worker.ts', import.meta.url));
/** Of those that are killed, so that they have something to do then. */
const SLOW = 200_000;
const FAST = 10 ** 9;
const KILLS = IS_PLAIN ? 1 : 4;

interface Worker {
  readonly process: ChildProcess;
  /** After it has stored something, or ended. */
  readonly stored: Promise<void>;
  readonly ended: Promise<number | null>;
  /** Readings and ranges, as far as it told them. */
  readonly counts: { images: number; ranges: number };
}

function start(location: string, bytesPerSecond: number): Worker {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', WORKER, location, String(bytesPerSecond)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const counts = { images: 0, ranges: 0 };
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const stored = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const [, images, ranges] of text.matchAll(/^(\d+) (\d+)$/gm)) {
        counts.images += Number(images);
        counts.ranges += Number(ranges);
        if (Number(ranges) > 0) resolve();
      }
    });
    void ended.then(() => {
      resolve();
    });
  });
  return { process: child, stored, ended, counts };
}

/** The image is in a catalogue; workers, so many at once, are killed and replaced, then left to end. */
async function disturbed(location: string, atOnce: number): Promise<void> {
  const image = await largeImage();
  await within(location, (world) => world.write(image));
  const all: Worker[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const some = Array.from({ length: atOnce }, () => start(location, SLOW));
    all.push(...some);
    await some[0]!.stored;
    for (const worker of some) worker.process.kill('SIGKILL');
    for (const worker of some) expect(await worker.ended).toBeNull();
  }
  const last = Array.from({ length: atOnce }, () => start(location, FAST));
  all.push(...last);
  for (const worker of last) expect(await worker.ended).toBe(0);
  await within(location, async (world) => {
    expect(await world.hashes()).toEqual(wantedHashes(image));
    expect(await world.state()).toEqual({ state: 'read', error_code: null, is_read: true });
    expect(await world.leftovers()).toEqual({ ranges: 0, jobs: 0 });
  });
  const sum = (name: 'images' | 'ranges') => all.reduce((so, { counts }) => so + counts[name], 0);
  expect(sum('images')).toBe(1);
  // One that was killed may have stored what it did not come to tell.
  expect(sum('ranges')).toBeLessThanOrEqual(RANGES);
  expect(sum('ranges')).toBeGreaterThanOrEqual(RANGES - atOnce * KILLS);
}

const folder = temporaryDirectory();

async function within(location: string, use: (world: RangesWorld) => Promise<void>): Promise<void> {
  const database = await openCatalog(location);
  const queue = await Queue.open(database);
  try {
    await use(new RangesWorld(database, [queue, queue], folder));
  } finally {
    await queue.close();
    await database.close();
  }
}

test('in a folder', async () => {
  if (THINNER > 1) leaveOut('ranges in a folder: those on a server are tried');
  else await disturbed(join(temporaryDirectory(), 'catalog'), 1);
}, 120_000);

describeUnless(lackOfPostgres(), 'QSNAP_REQUIRE_POSTGRES', 'killed workers and ranges', () => {
  test('on a server, two at once', async () => {
    const server = (await startPostgres())!;
    try {
      await disturbed(server.url, 2);
    } finally {
      await server.stop();
    }
  }, 120_000);
});
