/** docs/catalog.md: its tables are those of the catalogue, and its outputs what commands print. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, test } from 'vitest';
import { openCatalog } from '../../../src/cli/fleet/database/open.js';
import type { Database } from '../../../src/cli/fleet/database/database.js';
import type { ImageFacts, ImageRecord } from '../../../src/cli/fleet/examine/record.js';
import { addPlace, examined, keepRecord, type Catalogs } from '../../support/catalogs.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyFixture } from '../../support/fixture.js';
import { leaveOut } from '../../support/left-out.js';
import { qsnap } from '../qsnap/harness.js';

const PAGE = fileURLToPath(new URL('../../../docs/catalog.md', import.meta.url));

/** By table: names and types of columns, as the page has them. */
function documented(page: string): Readonly<Record<string, readonly string[]>> {
  const sections = page.split(/^### /m).slice(1);
  return Object.fromEntries(
    sections.map((section) => [
      /^`(\w+)`/.exec(section)![1]!,
      [...section.matchAll(/^\| `(\w+)` +\| (\w+) /gm)].map(([, name, type]) => `${name} ${type}`),
    ]),
  );
}

async function stored(database: Database): Promise<Readonly<Record<string, readonly string[]>>> {
  const { rows } = await database.query<{ name: string; columns: string }>(
    `select relname::text as name, string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' order by attnum)
      as columns
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'qsnap'::regnamespace and relkind in ('r', 'v') and attnum > 0 and relname <> 'version'
      and not attisdropped
    group by 1`,
  );
  const columnsOf = (text: string): readonly string[] =>
    text.replaceAll('timestamp with time zone', 'moment').split(',');
  return Object.fromEntries(rows.map(({ name, columns }) => [name, columnsOf(columns)]));
}

/** What the page asks about: a machine with snapshots, and overlays. */
async function fill(catalogs: Pick<Catalogs, 'all'>): Promise<void> {
  const folder = temporaryDirectory();
  const five = await examined(copyFixture('five-snapshots', folder));
  const branches = await examined(copyFixture('applied-and-deleted', folder));
  const overlay = (facts: Partial<ImageFacts>): ImageRecord => ({
    ...five,
    disks: [],
    shares: [],
    facts: { ...five.facts!, ...facts },
  });
  await keepRecord(catalogs, '/srv/images/web.qcow2', five);
  await keepRecord(catalogs, '/srv/images/mail.qcow2', branches);
  const base = { backingName: 'golden.qcow2', backingFormat: 'qcow2' };
  await keepRecord(catalogs, '/srv/images/test.qcow2', overlay(base));
  await keepRecord(
    catalogs,
    '/srv/images/old.qcow2',
    overlay({ backingName: '../old.raw', backingFormat: 'raw' }),
  );
}

const words = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c!);

export function pageCases(opened: () => Catalogs): void {
  test('the page has the tables and columns that there are', async () => {
    const page = documented(readFileSync(PAGE, 'utf8'));
    for (const database of opened().all) {
      const tables = await stored(database);
      const { snapshots, ...rest } = tables;
      expect(snapshots).toEqual(['location text', ...tables['disks']!]);
      expect(page).toEqual({ ...rest, snapshots: [] });
    }
  });

  test('the page prints what the questions print', async () => {
    const { url } = opened();
    if (url === undefined) {
      leaveOut('outputs of docs/catalog.md: PostgreSQL is not installed');
      return;
    }
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('create database page');
    await client.end();
    const QSNAP_DATABASE = url.replace(/[^/]*$/, 'page');
    const database = await openCatalog(QSNAP_DATABASE);
    await addPlace(database);
    await fill({ all: [database] });
    await database.close();
    let rendered = '';
    for (const part of readFileSync(PAGE, 'utf8').split(/(?<=```console\n)([^]*?)(?=```\n)/)) {
      if (!part.startsWith('$ qsnap catalog query')) {
        rendered += part;
        continue;
      }
      for (const line of part.split('\n').filter((one) => one.startsWith('$ '))) {
        const [, ...argv] = words(line.slice(2));
        const { stdout, stderr } = await qsnap(argv, { env: { QSNAP_DATABASE } });
        rendered += `${line}\n${stdout}${stderr}`;
      }
    }
    await expect(rendered).toMatchFileSnapshot(PAGE);
  });
}
