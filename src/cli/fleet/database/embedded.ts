import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PGlite, Results } from '@electric-sql/pglite';
import {
  CatalogError,
  noCatalog,
  READING,
  READING_SETTINGS,
  type Database,
  type ReadingSql,
  type Sql,
  type SqlResult,
  type SqlTable,
  type SqlValue,
} from './database.js';
import { readerOf } from './values.js';

/** Takes an OFD lock on a byte range; false when another process has it. The kernel frees it when the process dies. */
export type TryLock = (fd: number, at: number, length: number) => boolean;

/**
 * Opens the database that lives in a folder, and makes it where there is none.
 *
 * Ours: the engine itself keeps nobody else out, and commits of a second process would vanish. A lock on a file beside
 * the folder does.
 *
 * @throws CatalogError where another process has it, or the engine is not installed.
 */
export async function openEmbedded(folder: string, makes: boolean): Promise<Database> {
  await refuseOthers(folder, makes);
  const tryLock = await lockFunction();
  const held = await lockFile(folder);
  try {
    if (!tryLock(held.fd, 0, 1)) {
      throw new CatalogError(
        `another qsnap uses the catalogue in ${folder}`,
        'wait until it ends; on a PostgreSQL server (--database postgres://…) several can work at once',
      );
    }
    const { PGlite } = await engine();
    const pglite = await PGlite.create(folder).catch((error: unknown) => {
      throw unusable(folder, error);
    });
    await pglite.exec("set timezone = 'UTC'; set datestyle = 'ISO'");
    const { fromPglite } = await import('pg-boss');
    const queueOptions = { db: fromPglite(pglite), backend: 'pglite' };
    return new EmbeddedDatabase(folder, pglite, queueOptions, held);
  } catch (error) {
    await held.close();
    throw error;
  }
}

/** A folder with other things in it may be one of images: nothing is put there. */
async function refuseOthers(folder: string, makes: boolean): Promise<void> {
  let names: readonly string[] = [];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unusable(folder, error);
  }
  if (names.includes('PG_VERSION')) return;
  if (names.length > 0) {
    throw new CatalogError(
      `${folder} is no catalogue, and has other things in it`,
      'name a folder that is empty or not there yet',
    );
  }
  if (!makes) throw noCatalog(folder);
}

async function lockFile(folder: string): Promise<FileHandle> {
  try {
    await mkdir(dirname(folder), { recursive: true });
    return await open(`${folder}.lock`, 'a');
  } catch (error) {
    throw unusable(folder, error);
  }
}

function unusable(folder: string, error: unknown): CatalogError {
  const reason = error instanceof Error ? error.message : 'its files are damaged';
  return new CatalogError(`can't use ${folder} as a catalogue: ${reason}`, undefined, error);
}

async function lockFunction(): Promise<TryLock> {
  try {
    // @ts-expect-error: the package brings no types.
    const module = (await import('fs-native-extensions')) as { default: { tryLock: TryLock } };
    return module.default.tryLock;
  } catch (error) {
    throw new CatalogError(
      'the embedded database needs the add-on fs-native-extensions, which is not installed here',
      'install it, or use a PostgreSQL server: --database postgres://…',
      error,
    );
  }
}

async function engine(): Promise<typeof import('@electric-sql/pglite')> {
  try {
    return await import('@electric-sql/pglite');
  } catch (error) {
    throw new CatalogError(
      'the embedded database needs the package @electric-sql/pglite, which is not installed here',
      'install it, or use a PostgreSQL server: --database postgres://…',
      error,
    );
  }
}

/** The engine's only user may read and write files of this folder by SQL; who asks may not. */
const READER = 'set local role pg_read_all_data';

class EmbeddedDatabase implements Database {
  readonly isEmbedded = true;
  readonly label: string;
  readonly queueOptions: Database['queueOptions'];
  readonly #pglite: PGlite;
  readonly #parsers: Parsers;
  readonly #held: FileHandle;

  constructor(label: string, pglite: PGlite, options: Database['queueOptions'], held: FileHandle) {
    this.label = label;
    this.#pglite = pglite;
    this.#parsers = ownReaders(pglite);
    this.#held = held;
    this.queueOptions = options;
  }

  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<SqlResult<Row>> {
    return ask<Row>(this.#pglite, this.#parsers, text, values);
  }

  async script(text: string): Promise<void> {
    await this.#pglite.exec(text);
  }

  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#pglite.transaction((tx) =>
      work({ query: (text, values) => ask(tx, this.#parsers, text, values) }),
    );
  }

  reading<T>(work: (sql: ReadingSql) => Promise<T>): Promise<T> {
    return this.#pglite.transaction(async (tx) => {
      await tx.exec(`set transaction ${READING}; ${READING_SETTINGS}; ${READER}`);
      return work({
        query: (text, values) => ask(tx, this.#parsers, text, values),
        table: (text, values) => askTable(tx, this.#parsers, text, values),
      });
    });
  }

  async close(): Promise<void> {
    await this.#pglite.close();
    await this.#held.close();
  }
}

type Parsers = Record<number, (text: string) => unknown>;

async function ask<Row extends object>(
  engineOrTransaction: Pick<PGlite, 'query'>,
  parsers: Parsers,
  text: string,
  values: readonly unknown[] = [],
): Promise<SqlResult<Row>> {
  const { fields, rows }: Results<Row> = await engineOrTransaction.query<Row>(text, [...values], {
    parsers,
  });
  return { columns: fields.map(({ name }) => name), rows };
}

async function askTable(
  engineOrTransaction: Pick<PGlite, 'query'>,
  parsers: Parsers,
  text: string,
  values: readonly unknown[] = [],
): Promise<SqlTable> {
  const options = { parsers, rowMode: 'array' } as const;
  const { fields, rows } = await engineOrTransaction.query(text, [...values], options);
  return {
    columns: fields.map(({ name }) => name),
    rows: rows as unknown as readonly (readonly SqlValue[])[],
  };
}

/** The engine has readers of its own for many types, which give dates, big integers and lists. */
function ownReaders({ parsers }: Pick<PGlite, 'parsers'>): Parsers {
  const types = Object.keys(parsers).map(Number);
  return Object.fromEntries(types.map((type) => [type, readerOf(type)]));
}
