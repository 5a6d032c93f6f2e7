import { CatalogError, noCatalog, type Database, type Sql } from './database.js';
import { STEPS } from './tables.js';

/** Of the tables. A change of them is a next step. */
const VERSION = STEPS.length;

/** Any number that no other program locks by: who makes or changes the tables does it alone. */
const LOCK = 20_260_928;

/** Of a user who may not change tables. */
const NO_RIGHT = '42501';

/**
 * Makes the tables of a catalogue where there are none, and brings those of an older qsnap to the version of this one.
 *
 * @param makes false: it is an error where there are none.
 * @throws CatalogError also where a newer qsnap made them, and where they are old and this user may not change them.
 */
export async function prepareSchema(database: Database, makes: boolean): Promise<void> {
  const found = await versionOf(database);
  if (found === 0 && !makes) throw noCatalog(database.label);
  const version = found < VERSION ? await upgraded(database, found) : found;
  if (version === VERSION) return;
  throw new CatalogError(
    `${whatIsThere(database, version)}, and this qsnap knows ${VERSION}`,
    'use the qsnap that made it, or another database',
  );
}

const whatIsThere = ({ label }: Database, version: number): string =>
  `the catalogue in ${label} has version ${version}`;

/** @returns 0 where there are no tables. */
async function versionOf(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ name: string | null }>(
    "select to_regclass('qsnap.version')::text as name",
  );
  if (rows[0]!.name === null) return 0;
  const found = await sql.query<{ version: number }>('select version from qsnap.version');
  return found.rows[0]?.version ?? 0;
}

/** @returns the version that is there in the end: another program may have been faster, or newer. */
async function upgraded(database: Database, from: number): Promise<number> {
  try {
    return await database.transaction(takeSteps);
  } catch (error) {
    const isRefused = error instanceof Error && 'code' in error && error.code === NO_RIGHT;
    if (from === 0 || !isRefused) throw error;
    throw new CatalogError(
      `${whatIsThere(database, from)}, and this qsnap needs ${VERSION}`,
      'who may change its tables brings it there by any command on it, such as `qsnap catalog status`',
      error,
    );
  }
}

async function takeSteps(sql: Sql): Promise<number> {
  await sql.query('select pg_advisory_xact_lock($1)', [LOCK]);
  const from = await versionOf(sql);
  if (from >= VERSION) return from;
  if (from === 0) await sql.query('create schema if not exists qsnap');
  for (const statement of STEPS.slice(from).flatMap((step) => step.split(/;\n/))) {
    if (statement.trim() !== '') await sql.query(statement);
  }
  await sql.query('delete from qsnap.version');
  await sql.query('insert into qsnap.version values ($1)', [VERSION]);
  return VERSION;
}
