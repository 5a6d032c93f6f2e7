/** Workers on a catalogue on a PostgreSQL server: two against one, and what the queue itself takes. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openCatalog } from '../src/cli/fleet/database/open.js';
import { Queue, type Task } from '../src/cli/fleet/queue/queue.js';
import { startPostgres, type Postgres } from '../test/support/postgres.js';
import { copyOf, mapped } from './images.js';
import { qsnap, seconds, type Command } from './timing.js';

const HEAD = ['what', 'of', 'measured', 'result', 'wanted'];

const IMAGES = 600;
const JOBS = 2000;
/** What one worker takes at once. */
const TAKEN = 8;

/** Prints the part. */
export async function workers(
  folder: string,
  rounds: number,
  print: (line?: string) => void,
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => void,
): Promise<void> {
  print('## Workers on a catalogue');
  print();
  const server = await startPostgres();
  if (server === undefined) {
    print('Left out: no PostgreSQL server is installed.');
    print();
    return;
  }
  try {
    table(HEAD, [await speedUp(server, folder, rounds), await queueTime(server)]);
  } finally {
    await server.stop();
  }
}

/** Whole processes, in turn; each worker reads one image at a time, on a core of its own, as on a host of its own. */
async function speedUp({ url }: Postgres, folder: string, rounds: number): Promise<string[]> {
  const images = join(folder, 'fleet');
  mkdirSync(images);
  const first = mapped(images, 'fleet', '64G');
  for (let i = 1; i < IMAGES; i++) copyOf(first, `fleet-${i}.qcow2`);
  const at = ['--database', url, '--quiet'];
  seconds(qsnap('catalog', 'add', '--no-wait', ...at, images));
  const worker = qsnap('worker', '--once', '--jobs', '1', ...at);
  const took: Record<1 | 2, number[]> = { 1: [], 2: [] };
  for (let round = 0; round < 2 * rounds; round++) {
    const workers = round % 2 === 0 ? 1 : 2;
    if (round > 0) seconds(qsnap('catalog', 'refresh', '--all', '--no-wait', ...at));
    took[workers].push(
      await secondsOfAll(Array.from({ length: workers }, (_, core) => onCore(core, worker))),
    );
  }
  const [one, two] = [median(took[1]), median(took[2])];
  return [
    'two workers against one',
    `${IMAGES} images of 64G, mapped`,
    `${one.toFixed(2)} s and ${two.toFixed(2)} s`,
    `${(one / two).toFixed(2)} times as fast`,
    '1.8 times as fast',
  ];
}

const onCore = (core: number, command: Command): Command => [
  ...['taskset', '-c', String(core)],
  ...command,
];

async function secondsOfAll(commands: readonly Command[]): Promise<number> {
  const begun = performance.now();
  await Promise.all(
    commands.map(
      ([program, ...words]) =>
        new Promise<void>((resolve, reject) => {
          spawn(program!, words, { stdio: ['ignore', 'ignore', 'inherit'] }).once(
            'close',
            (code) => {
              if (code === 0) resolve();
              else reject(new Error(`a worker ended with ${code}`));
            },
          );
        }),
    ),
  );
  return (performance.now() - begun) / 1000;
}

/** Jobs put into the queue, taken and ended as a worker does it, and nothing done for them. */
async function queueTime({ url }: Postgres): Promise<string[]> {
  const database = await openCatalog(url);
  try {
    const queue = await Queue.open(database);
    const tasks = Array.from({ length: JOBS }, (_, image): Task => {
      return {
        kind: 'image',
        image,
        reading: 1,
        location: `/nowhere/${image}`,
        store: 'file',
        tries: 0,
      };
    });
    const begun = performance.now();
    await database.transaction((sql) => queue.add(sql, tasks));
    for (let done = 0; done < JOBS;) {
      const jobs = await queue.take(TAKEN, []);
      await database.transaction((sql) => queue.finish(sql, jobs));
      done += jobs.length;
    }
    const each = (performance.now() - begun) / JOBS;
    await queue.close();
    return [
      'the queue itself',
      `${JOBS} jobs`,
      `${each.toFixed(2)} ms a job`,
      '',
      'under 3 ms a job',
    ];
  } finally {
    await database.close();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
