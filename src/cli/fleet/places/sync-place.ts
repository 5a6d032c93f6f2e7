import { settled } from '../../../internal.js';
import type { Database, Sql } from '../database/database.js';
import { stampOf, UNKNOWN_VERSION } from '../examine/stamp.js';
import type { Queue, Task } from '../queue/queue.js';
import { findImages, storeOf, type FoundFile, type Unseen } from './find-images.js';

/** What a look at a place found. */
export interface SyncTotals {
  readonly found: number;
  readonly added: number;
  /** Known images that are to be read again. */
  readonly changed: number;
  readonly gone: number;
  readonly unseen: readonly Unseen[];
}

export interface SyncOptions {
  readonly now: Date;
  /** Read images again that look as they did. */
  readonly rereads: boolean;
  readonly onFound?: ((count: number) => void) | undefined;
}

/** Files that are looked up in the catalogue by one statement. */
const AT_ONCE = 500;
/** Files that are looked at at once. */
const STAMPS_AT_ONCE = 16;

interface KnownRow {
  readonly id: number;
  readonly location: string;
  readonly state: string;
  readonly stamp: string;
  readonly have: number;
  readonly wanted: number;
}

/**
 * Looks at a place and puts what is new or changed into the queue; images that are no longer there are marked as gone.
 *
 * @throws Error of the system or the server: the place itself can't be looked at, and nothing was marked.
 */
export async function syncPlace(
  database: Database,
  queue: Queue,
  place: string,
  options: SyncOptions,
): Promise<SyncTotals> {
  const unseen: Unseen[] = [];
  const totals = { found: 0, added: 0, changed: 0 };
  const begun = options.now;
  const batch: FoundFile[] = [];
  const flush = async (): Promise<void> => {
    const { added, changed } = await syncFiles(database, queue, place, batch, options);
    totals.added += added;
    totals.changed += changed;
    batch.length = 0;
  };
  for await (const file of findImages(place, (one) => unseen.push(one))) {
    totals.found += 1;
    options.onFound?.(totals.found);
    batch.push(file);
    if (batch.length === AT_ONCE) await flush();
  }
  await flush();
  const gone = await markGone(database, place, begun, unseen);
  await database.query('update qsnap.places set looked_at = $2 where location = $1', [
    place,
    begun,
  ]);
  return { ...totals, gone, unseen };
}

async function syncFiles(
  database: Database,
  queue: Queue,
  place: string,
  files: readonly FoundFile[],
  { now, rereads }: SyncOptions,
): Promise<{ readonly added: number; readonly changed: number }> {
  if (files.length === 0) return { added: 0, changed: 0 };
  const locations = files.map(({ location }) => location);
  const { rows: known } = await database.query<KnownRow>(
    `select id, location, state, stamp, have, wanted from qsnap.images where location = any($1)`,
    [locations],
  );
  const knownLocations = new Set(known.map(({ location }) => location));
  const added = locations.filter((location) => !knownLocations.has(location));
  const settled = known.filter(({ have, wanted }) => have >= wanted);
  const changed = rereads ? settled : await filterAsync(settled, isChanged);
  await database.transaction(async (sql) => {
    await sql.query('update qsnap.images set seen_at = $2 where location = any($1)', [
      locations,
      now,
    ]);
    const tasks = [
      ...(await insertImages(sql, place, added, now)),
      ...(await wantAgain(sql, changed)),
    ];
    await queue.add(sql, tasks);
  });
  return { added: added.length, changed: changed.length };
}

async function isChanged({ location, state, stamp }: KnownRow): Promise<boolean> {
  if (state === 'gone' || stamp === UNKNOWN_VERSION) return true;
  try {
    return (await stampOf(location)) !== stamp;
  } catch {
    // Why it can't be read is for its reading to tell.
    return true;
  }
}

async function filterAsync<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean>,
): Promise<readonly T[]> {
  const kept: T[] = [];
  for (let from = 0; from < items.length; from += STAMPS_AT_ONCE) {
    const some = items.slice(from, from + STAMPS_AT_ONCE);
    const passed = await settled(some.map(test));
    kept.push(...some.filter((_, i) => passed[i]));
  }
  return kept;
}

async function insertImages(
  sql: Sql,
  place: string,
  locations: readonly string[],
  now: Date,
): Promise<readonly Task[]> {
  if (locations.length === 0) return [];
  const { rows } = await sql.query<{ id: number; location: string; store: string }>(
    `insert into qsnap.images (location, store, place, added_at, seen_at)
    select location, store, $2, $3, $3
    from jsonb_to_recordset($1) as t(location text, store text)
    on conflict (location) do nothing
    returning id, location, store`,
    [
      JSON.stringify(locations.map((location) => ({ location, store: storeOf(location) }))),
      place,
      now,
    ],
  );
  return rows.map(({ id, location, store }) => ({ image: id, reading: 1, location, store }));
}

/** Two that look at once ask for one reading. */
async function wantAgain(sql: Sql, images: readonly KnownRow[]): Promise<readonly Task[]> {
  if (images.length === 0) return [];
  const { rows } = await sql.query<{
    id: number;
    location: string;
    store: string;
    wanted: number;
  }>(
    `update qsnap.images set wanted = wanted + 1
    where id = any($1) and have >= wanted returning id, location, store, wanted`,
    [images.map(({ id }) => id)],
  );
  return rows.map(({ id, location, store, wanted }) => ({
    image: id,
    reading: wanted,
    location,
    store,
  }));
}

/** What was not seen may be there: below a folder that can't be read nothing is marked. */
async function markGone(
  database: Database,
  place: string,
  begun: Date,
  unseen: readonly Unseen[],
): Promise<number> {
  const { rows } = await database.query<{ id: number; location: string }>(
    `select id, location from qsnap.images
    where place = $1 and seen_at < $2 and state <> 'gone' and have >= wanted`,
    [place, begun],
  );
  const gone = rows.filter(
    ({ location }) => !unseen.some((one) => location.startsWith(one.location)),
  );
  if (gone.length === 0) return 0;
  await database.query(
    `with gone as (
      update qsnap.images set state = 'gone' where id = any($1) and state <> 'gone' returning id
    )
    insert into qsnap.changes (image_id, found_at, what, was, became)
    select id, $2, 'state', 'there', 'gone' from gone`,
    [gone.map(({ id }) => id), begun],
  );
  return gone.length;
}
