/**
 * Workers read a folder of images into a catalogue while they, and the database, are killed at random, and while images
 * change, go and are replaced. In the end every image has one result, and it is that of a single undisturbed run.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadFixture } from '../support/fixture.js';
import type { Random } from '../support/model-random.js';
import type { Postgres } from '../support/postgres.js';
import { contentsOf, type Contents } from './contents.js';
import { withOwnSnapshot } from './images.js';
import { finish, start, type Running } from './programs.js';

export interface CampaignOptions {
  readonly folder: string;
  readonly paths: readonly string[];
  /** A server that may be killed, or the folder of an embedded database. */
  readonly database: Postgres | string;
  readonly workers: number;
  /** How often something is killed. */
  readonly kills: number;
  /** How many images change, and how many go, and how many are replaced. */
  readonly disturbed: number;
  readonly random: Random;
  readonly log?: (line: string) => void;
}

/** What was done, and what the catalogue holds in the end. */
export interface Outcome {
  readonly contents: Contents;
  readonly disturbed: ReadonlySet<string>;
  readonly seconds: number;
}

/** Longer takes none; what hangs is told. */
const TIMEOUT_MS = 20 * 60_000;
const KILL_EVERY_MS = 700;

export async function campaign(options: CampaignOptions): Promise<Outcome> {
  const { folder, database, kills, random, log = () => undefined } = options;
  const location = typeof database === 'string' ? database : database.url;
  const at = ['--database', location];
  await finish(['catalog', 'add', folder, '--no-wait', ...at]);
  const begun = performance.now();
  const disturbed = new Set<string>();
  const workers = new Set<Running>();
  const begin = (): void => {
    const worker = start(['worker', '--once', '--jobs', workersOf(options), ...at]);
    workers.add(worker);
    void worker.ended.then(({ code, output }) => {
      workers.delete(worker);
      log(`a worker ended: ${code} ${output.trim()}`);
    });
  };
  const processes = typeof database === 'string' ? 1 : options.workers;
  const fill = (): void => {
    while (workers.size < processes) begin();
  };
  fill();
  for (let kill = 0; kill < kills; kill++) {
    await sleep(random.below(KILL_EVERY_MS));
    await disturb(options, kill, disturbed);
    if (typeof database !== 'string' && random.below(3) === 0) {
      log('the database is killed');
      database.kill();
      await sleep(random.below(300));
      await database.restart();
    } else {
      const victims = [...workers];
      log('a worker is killed');
      victims[random.below(victims.length)]?.process.kill('SIGKILL');
      // An embedded database is free once its process is gone.
      await sleep(50);
    }
    fill();
  }
  await untilAllEnded(workers);
  // Where all were killed, nobody is left; and what changed after its reading is read again.
  await finish(['worker', '--once', ...at]);
  await finish(['catalog', 'refresh', ...at]);
  return {
    contents: await contentsOf(location),
    disturbed,
    seconds: (performance.now() - begun) / 1000,
  };
}

/** The undisturbed run. */
export async function single(folder: string, database: string): Promise<Contents> {
  await finish(['catalog', 'add', folder, '--database', database]);
  return contentsOf(database);
}

function workersOf({ database, workers }: CampaignOptions): string {
  return String(typeof database === 'string' ? workers : 2);
}

async function untilAllEnded(workers: ReadonlySet<Running>): Promise<void> {
  const until = performance.now() + TIMEOUT_MS;
  while (workers.size > 0) {
    if (performance.now() > until) throw new Error('workers do not end');
    await sleep(50);
  }
}

/** Each kill comes with its share of the images that change, go or are replaced. */
async function disturb(
  { paths, kills, disturbed: count, random }: CampaignOptions,
  kill: number,
  disturbed: Set<string>,
): Promise<void> {
  const share = Math.ceil(count / kills);
  for (let i = 0; i < share && disturbed.size < count; i++) {
    const path = paths[random.below(paths.length)]!;
    if (disturbed.has(path)) continue;
    disturbed.add(path);
    const way = (kill + i) % 3;
    if (way === 0) rmSync(path);
    else if (way === 1) writeFileSync(path, await withOwnSnapshot(readFileSync(path), 'later'));
    else {
      writeFileSync(`${path}.new`, await withOwnSnapshot(loadFixture('five-snapshots'), path));
      renameSync(`${path}.new`, path);
    }
  }
}
