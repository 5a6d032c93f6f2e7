/** A slice of `npm run fleet`: workers and the database are killed while images change, go and are replaced. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { campaign, single } from '../../fleet/campaign.js';
import { differences } from '../../fleet/differences.js';
import { writeImages } from '../../fleet/images.js';
import { start } from '../../fleet/programs.js';
import { temporaryDirectory } from '../../support/directories.js';
import { describeUnless, IS_PLAIN, THINNER } from '../../support/left-out.js';
import { randomFrom, seedOf } from '../../support/model-random.js';
import { lackOfPostgres, startPostgres, type Postgres } from '../../support/postgres.js';

const IMAGES = THINNER > 1 ? 16 : IS_PLAIN ? 30 : 60;
const KILLS = IS_PLAIN ? 2 : 3;
const DISTURBED = 2 * KILLS;

describeUnless(lackOfPostgres(), 'QSNAP_REQUIRE_POSTGRES', 'workers on a server', () => {
  let server: Postgres;
  beforeAll(async () => {
    server = (await startPostgres())!;
  });
  afterAll(async () => {
    await server.stop();
  });

  test(`killed ${KILLS} times, seed ${seedOf()}: every image has the result of an undisturbed run`, async () => {
    const folder = join(temporaryDirectory(), 'images');
    mkdirSync(folder);
    const paths = await writeImages(folder, IMAGES);
    const { contents, disturbed } = await campaign({
      folder,
      paths,
      database: server,
      workers: 2,
      kills: KILLS,
      disturbed: DISTURBED,
      random: randomFrom(seedOf()),
    });
    const wanted = await single(folder, await anotherDatabase(server.url));
    expect(wanted.tables['images']!.length).toBeGreaterThan(IMAGES - DISTURBED - 1);
    expect(differences(contents, wanted, disturbed)).toEqual([]);
  });

  test('a worker tells Prometheus what it does, and ends when it is told to', async () => {
    const worker = start(['worker', '--jobs', '1', '--metrics', '0', '--database', server.url]);
    let address: string | undefined;
    worker.process.stderr!.on('data', (text: string) => {
      address ??= /^metrics: (\S+)$/m.exec(text)?.[1];
    });
    while (address === undefined) await sleep(20);
    const text = await (await fetch(address)).text();
    const names = [
      'images_running',
      'images_stored_total',
      'images_waiting',
      'ranges_stored_total',
    ];
    for (const name of names) {
      expect(text).toMatch(new RegExp(`^qsnap_${name} 0$`, 'm'));
    }
    expect((await fetch(address.replace('metrics', 'other'))).status).toBe(404);
    worker.process.kill('SIGTERM');
    expect((await worker.ended).code).toBe('SIGTERM');
  });
});

async function anotherDatabase(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('create database undisturbed');
  await client.end();
  return url.replace(/postgres$/, 'undisturbed');
}
