import pg from 'pg';
import {
  CatalogError,
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

/** A worker asks for one job list, stores one result list and sends one heartbeat at a time. */
const CONNECTIONS_MAX = 4;

/** All sessions print and take dates alike. */
const SESSION = '-c timezone=UTC -c datestyle=ISO';

/**
 * Connects to a PostgreSQL server.
 *
 * @param address `postgres://user@host/database`, with what else libpq's addresses have.
 * @throws CatalogError where it can't be reached.
 */
export async function openServer(address: string): Promise<Database> {
  const label = withoutPassword(address);
  const pool = new pg.Pool({
    connectionString: address,
    max: CONNECTIONS_MAX,
    options: SESSION,
    application_name: 'qsnap',
    types: { getTypeParser: (type: number) => readerOf(type) as never },
  });
  // A connection that breaks while nobody uses it: the next statement tells.
  pool.on('error', () => undefined);
  // The same of one that somebody has, between two statements.
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
  });
  try {
    await pool.query('select 1');
  } catch (error) {
    await pool.end();
    throw new CatalogError(
      `can't connect to ${label}: ${reasonOf(error)}`,
      'is the server up, and may this user use the database?',
      error,
    );
  }
  return new ServerDatabase(label, address, pool);
}

class ServerDatabase implements Database {
  readonly isEmbedded = false;
  readonly label: string;
  readonly queueOptions: Database['queueOptions'];
  readonly #pool: pg.Pool;

  constructor(label: string, address: string, pool: pg.Pool) {
    this.label = label;
    this.#pool = pool;
    this.queueOptions = { connectionString: address, max: 2, application_name: 'qsnap queue' };
  }

  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<SqlResult<Row>> {
    return ask<Row>(this.#pool, text, values);
  }

  async script(text: string): Promise<void> {
    await this.#pool.query(text);
  }

  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#within('begin', (client) =>
      work({ query: (text, values) => ask(client, text, values) }),
    );
  }

  reading<T>(work: (sql: ReadingSql) => Promise<T>): Promise<T> {
    return this.#within(`begin ${READING}; ${READING_SETTINGS}`, (client) =>
      work({
        query: (text, values) => ask(client, text, values),
        table: (text, values) => askTable(client, text, values),
      }),
    );
  }

  async #within<T>(begin: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      await client.query(begin);
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch((lost: unknown) => {
        broken = lost instanceof Error ? lost : new Error(String(lost));
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

async function ask<Row extends object>(
  client: pg.Pool | pg.PoolClient,
  text: string,
  values: readonly unknown[] = [],
): Promise<SqlResult<Row>> {
  const { fields, rows } = await client.query<Row>(text, [...values]);
  return { columns: fields.map(({ name }) => name), rows };
}

/** The simple protocol would take several statements, and the first may end the transaction. */
async function askTable(
  client: pg.PoolClient,
  text: string,
  values: readonly unknown[] = [],
): Promise<SqlTable> {
  const config = { text, values: [...values], rowMode: 'array', queryMode: 'extended' } as const;
  const { fields, rows } = await client.query<SqlValue[]>(config);
  return { columns: fields.map(({ name }) => name), rows };
}

function withoutPassword(address: string): string {
  try {
    const url = new URL(address);
    url.password = '';
    url.search = '';
    return url.href;
  } catch {
    return 'the database server';
  }
}

function reasonOf(error: unknown): string {
  // All addresses of a name that were tried.
  const one = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  return one instanceof Error ? one.message : String(one);
}
