/** Catalogues for tests: one in a folder and, where PostgreSQL is installed, one on a server of its own. */
import path from 'node:path';
import { profileOf } from '../../src/index.js';
import type { Database } from '../../src/cli/fleet/database/database.js';
import { openCatalog } from '../../src/cli/fleet/database/open.js';
import { backingLocationOf } from '../../src/cli/fleet/examine/backing-location.js';
import { examineImage } from '../../src/cli/fleet/examine/examine-image.js';
import type { ImageRecord } from '../../src/cli/fleet/examine/record.js';
import { storeRecord } from '../../src/cli/fleet/store-record.js';
import { temporaryDirectory } from './directories.js';
import { startPostgres } from './postgres.js';

export interface Catalogs {
  readonly all: readonly Database[];
  /** Where the one on a server lies; undefined where there is no server. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** The moment at which images are read. */
const READ_AT = new Date('2026-11-22T14:03:12.345Z');
const PLACE = '/place';

/** Opens both. The one in a folder takes some seconds. */
export async function openCatalogs(): Promise<Catalogs> {
  const [server, embedded] = await Promise.all([
    startPostgres(),
    openCatalog(path.join(temporaryDirectory(), 'catalog')),
  ]);
  const all = [embedded, ...(server === undefined ? [] : [await openCatalog(server.url)])];
  for (const database of all) await addPlace(database);
  return {
    all,
    url: server?.url,
    close: async () => {
      for (const database of all) await database.close();
      await server?.stop();
    },
  };
}

/** The place that all images of tests are in. */
export async function addPlace(database: Database): Promise<void> {
  await database.query(
    `insert into qsnap.places (location, policy, hashes, force_share, added_at)
    values ($1, '{}', true, false, $2)`,
    [PLACE, READ_AT],
  );
}

/** Reads a file as a worker does. */
export function examined(file: string, hash = false): Promise<ImageRecord> {
  const now = READ_AT.getTime() / 1000;
  const policy = profileOf('host-backup');
  return examineImage(file, { policy, now, forceShare: false, hash });
}

/** Puts a reading into every catalogue, the first or another one. */
export async function keepRecord(
  { all }: Pick<Catalogs, 'all'>,
  location: string,
  record: ImageRecord,
  reading = 1,
): Promise<void> {
  for (const database of all) {
    await database.transaction(async (sql) => {
      const { rows } = await sql.query<{ id: number }>(
        `insert into qsnap.images (location, store, place, added_at, seen_at)
        values ($1, 'file', $2, $3, $3)
        on conflict (location) do update set wanted = qsnap.images.wanted + 1 returning id`,
        [location, PLACE, READ_AT],
      );
      await storeRecord(sql, { image: rows[0]!.id, reading }, placed(record, location), READ_AT);
    });
  }
}

/** The record of a file that was read elsewhere. */
function placed(record: ImageRecord, location: string): ImageRecord {
  const { facts } = record;
  if (facts?.backingName === undefined) return record;
  const backingLocation = backingLocationOf(location, facts.backingName);
  return { ...record, facts: { ...facts, backingLocation } };
}
