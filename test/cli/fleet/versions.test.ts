/** Catalogues that an older or a newer qsnap made. */
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../../src/cli/fleet/database/database.js';
import { openCatalog } from '../../../src/cli/fleet/database/open.js';
import { Queue } from '../../../src/cli/fleet/queue/queue.js';
import { addPlace } from '../../support/catalogs.js';
import { temporaryDirectory } from '../../support/directories.js';
import { describeUnless } from '../../support/left-out.js';
import { lackOfPostgres, startPostgres, type Postgres } from '../../support/postgres.js';

async function within<T>(location: string, use: (database: Database) => Promise<T>): Promise<T> {
  const database = await openCatalog(location, false);
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

/** What the first version had, with a place and a job as it put them into the queue. */
async function makeFirst(location: string): Promise<void> {
  const database = await openCatalog(location);
  await addPlace(database);
  const queue = await Queue.open(database);
  const task = { image: 7, reading: 1, location: '/7', store: 'file' };
  await database.transaction((sql) => queue.add(sql, [task as never]));
  await queue.close();
  await database.script('drop table qsnap.hash_ranges; update qsnap.version set version = 1');
  await database.close();
}

const versionOf = async (database: Database): Promise<unknown> =>
  (await database.query('select version from qsnap.version')).rows;

async function expectSecond(database: Database): Promise<void> {
  expect(await versionOf(database)).toEqual([{ version: 2 }]);
  expect((await database.query('select * from qsnap.hash_ranges')).rows).toEqual([]);
  expect((await database.query('select location from qsnap.places')).rows.length).toBe(1);
  const queue = await Queue.open(database);
  expect(await queue.take(1, [])).toMatchObject([{ kind: 'image', image: 7, tries: 0 }]);
  await queue.close();
}

test('a folder of the first version is brought to this one, with what it has', async () => {
  const location = join(temporaryDirectory(), 'catalog');
  await makeFirst(location);
  await within(location, expectSecond);
});

describeUnless(
  lackOfPostgres(),
  'QSNAP_REQUIRE_POSTGRES',
  'versions of catalogues on a server',
  () => {
    let server: Postgres;
    beforeAll(async () => {
      server = (await startPostgres())!;
      await makeFirst(server.url);
    });
    afterAll(async () => {
      await server.stop();
    });

    test('who may only read is told who can bring it to this version', async () => {
      await withScript(
        `drop role if exists reader; create role reader login; grant usage on schema qsnap to reader;
      grant select on all tables in schema qsnap to reader`,
      );
      const reader = server.url.replace('postgres@', 'reader@');
      await expect(openCatalog(reader, false)).rejects.toMatchObject({
        name: 'CatalogError',
        message: expect.stringContaining('has version 1, and this qsnap needs 2') as string,
        hint: expect.stringContaining('qsnap catalog status') as string,
      });
    });

    test('several that find an old version bring it to this one once', async () => {
      const found = await Promise.all([1, 2, 3].map(() => within(server.url, versionOf)));
      expect(found).toEqual([1, 2, 3].map(() => [{ version: 2 }]));
      await within(server.url, expectSecond);
    });

    test('a newer version is left alone', async () => {
      await withScript('update qsnap.version set version = 3');
      await expect(openCatalog(server.url)).rejects.toThrow(
        'has version 3, and this qsnap knows 2',
      );
    });

    /** Without a look at the version. */
    async function withScript(text: string): Promise<void> {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      await client.query(text);
      await client.end();
    }
  },
);
