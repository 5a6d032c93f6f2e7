import { settled } from '../../../internal.js';
import type { Database, Sql } from '../database/database.js';
import { stampOf, UNKNOWN_VERSION } from '../examine/stamp.js';
import type { Queue, Task } from '../queue/queue.js';
import { markGone, type Look } from './mark-gone.js';
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
  const look = await beginLook(database, place);
  const batch: FoundFile[] = [];
  const flush = async (): Promise<void> => {
    const { added, changed } = await syncFiles(database, queue, { place, look }, batch, options);
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
  const gone = await markGone(database, { place, look }, options.now, unseen);
  await database.query('update qsnap.places set looked_at = $2 where location = $1', [
    place,
    options.now,
  ]);
  return { ...totals, gone, unseen };
}

async function beginLook(database: Database, place: string): Promise<number> {
  const { rows } = await database.query<{ looks: number }>(
    'update qsnap.places set looks = looks + 1 where location = $1 returning looks',
    [place],
  );
  return rows[0]!.looks;
}

async function syncFiles(
  database: Database,
  queue: Queue,
  look: Look,
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
    // An image that lies in two places is that of the first.
    await sql.query(
      `update qsnap.images set seen_at = $2, seen_look = greatest(seen_look, $4)
      where location = any($1) and place = $3`,
      [locations, now, look.place, look.look],
    );
    const tasks = [
      ...(await insertImages(sql, look, added, now)),
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
  { place, look }: Look,
  locations: readonly string[],
  now: Date,
): Promise<readonly Task[]> {
  if (locations.length === 0) return [];
  const { rows } = await sql.query<{ id: number; location: string; store: string }>(
    `insert into qsnap.images (location, store, place, added_at, seen_at, seen_look)
    select location, store, $2, $3, $3, $4
    from jsonb_to_recordset($1) as t(location text, store text)
    on conflict (location) do nothing
    returning id, location, store`,
    [
      JSON.stringify(locations.map((location) => ({ location, store: storeOf(location) }))),
      place,
      now,
      look,
    ],
  );
  return rows.map((row) => taskOf({ ...row, wanted: 1 }));
}

/** Two that look at once ask for one reading. */
async function wantAgain(sql: Sql, images: readonly KnownRow[]): Promise<readonly Task[]> {
  if (images.length === 0) return [];
  const { rows } = await sql.query<WantedRow>(
    `update qsnap.images set wanted = wanted + 1
    where id = any($1) and have >= wanted returning id, location, store, wanted`,
    [images.map(({ id }) => id)],
  );
  return rows.map(taskOf);
}

interface WantedRow {
  readonly id: number;
  readonly location: string;
  readonly store: string;
  readonly wanted: number;
}

const taskOf = ({ id, location, store, wanted }: WantedRow): Task => ({
  kind: 'image',
  image: id,
  reading: wanted,
  location,
  store,
  tries: 0,
});
