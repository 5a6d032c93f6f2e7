/** Questions on a catalogue of 100,000 snapshots, on both databases. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Database } from '../src/cli/fleet/database/database.js';
import { openCatalog } from '../src/cli/fleet/database/open.js';
import { READY_QUESTIONS, askReady, type ReadyName } from '../src/cli/fleet/questions/ready.js';
import { askWhatIfPruned } from '../src/cli/fleet/questions/what-if-answer.js';
import { lackOfPostgres, startPostgres } from '../test/support/postgres.js';
import { fillCatalog } from './fleet-rows.js';

const SIZE = { images: 1000, snapshots: 100, shares: 400 };
/** As the command asks for people. */
const ROWS = 20;
const NOW = new Date('2026-11-22T14:00:00Z');

type Ask = (database: Database) => Promise<unknown>;

const QUESTIONS: readonly (readonly [name: string, ask: Ask])[] = [
  ...(Object.keys(READY_QUESTIONS) as ReadyName[]).map((name): readonly [string, Ask] => [
    `--${name}`,
    (database) => askReady(database, name, ROWS),
  ]),
  ...(
    [
      ['--keep-last 7', { keepLast: 7 }],
      ['--keep-daily 7 --keep-weekly 4', { keepDaily: 7, keepWeekly: 4 }],
      ['--older-than 30d --name "auto-*"', { olderThan: 30 * 86_400, name: ['auto-*'] }],
    ] as const
  ).map(([rules, flags]): readonly [string, Ask] => [
    `--what-if prune ${rules}`,
    (database) => askWhatIfPruned(database, flags, NOW, ROWS),
  ]),
];

/** Prints a table of times, and why a database was left out. */
export async function questionsSection(
  folder: string,
  rounds: number,
  print: (line: string) => void,
): Promise<void> {
  print('## Questions on 1,000 images of 100 snapshots\n');
  print('| question | database | s | wanted |\n| --- | --- | --- | --- |');
  await timed(await openCatalog(join(folder, 'catalog')), 'embedded', rounds, print);
  const lack = lackOfPostgres();
  const server = lack === undefined ? await startPostgres() : undefined;
  try {
    if (server !== undefined) {
      await timed(await openCatalog(server.url), 'PostgreSQL', rounds, print);
    }
  } finally {
    await server?.stop();
  }
  print('\nThe database is open; 400,000 sets of disks hold something together.');
  if (lack !== undefined) print(`A server was left out: ${lack}.`);
  print('');
}

async function timed(
  database: Database,
  name: string,
  rounds: number,
  print: (line: string) => void,
): Promise<void> {
  try {
    await fillCatalog(database, SIZE);
    await database.script('analyze');
    for (const [question, ask] of QUESTIONS) {
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const begun = performance.now();
        await ask(database);
        times.push((performance.now() - begun) / 1000);
      }
      times.sort((a, b) => a - b);
      const median = times[Math.floor(times.length / 2)]!;
      const span = `${times[0]!.toFixed(3)} to ${times.at(-1)!.toFixed(3)}`;
      print(`| \`${question}\` | ${name} | ${median.toFixed(3)} (${span}) | 0.2 |`);
    }
  } finally {
    await database.close();
  }
}
