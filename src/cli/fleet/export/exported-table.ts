import type { Database, ReadingSql, SqlValue } from '../database/database.js';

/** Tables that can be exported, and what their rows are sorted by. */
export const EXPORTED_TABLES = {
  images: 'id',
  snapshots: 'image_id, position',
  disks: 'image_id, position',
  findings: 'image_id, number',
  changes: 'id',
  shares: 'image_id, first_disk, last_disk, disks',
} as const;

export type ExportedTable = keyof typeof EXPORTED_TABLES;

/** What a column of a table holds. */
export type ColumnType = 'bigint' | 'integer' | 'boolean' | 'moment' | 'text';

export interface ExportedColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** Rows that are in memory at once. */
const ROWS_AT_ONCE = 10_000;

/**
 * Hands out all rows of a table, as they were at one moment, some at a time.
 *
 * @param begin is told the columns, and gives what takes rows.
 * @returns how many rows there were.
 */
export function readTable(
  database: Database,
  table: ExportedTable,
  begin: (columns: readonly ExportedColumn[]) => (rows: readonly SqlRowList[]) => Promise<void>,
): Promise<number> {
  return database.reading(async (sql) => {
    const columns = await columnsOf(sql, table);
    const add = begin(columns);
    const names = columns.map(({ name }) => name).join(', ');
    await sql.query(
      `declare exported no scroll cursor for
      select ${names} from qsnap.${table} order by ${EXPORTED_TABLES[table]}`,
    );
    let count = 0;
    for (;;) {
      const { rows } = await sql.table(`fetch ${ROWS_AT_ONCE} from exported`);
      if (rows.length === 0) return count;
      count += rows.length;
      await add(rows);
    }
  });
}

export type SqlRowList = readonly SqlValue[];

async function columnsOf(
  sql: ReadingSql,
  table: ExportedTable,
): Promise<readonly ExportedColumn[]> {
  const { rows } = await sql.query<{ name: string; type: string }>(
    `select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = ('qsnap.' || $1)::regclass and attnum > 0 and not attisdropped order by attnum`,
    [table],
  );
  return rows.map(({ name, type }) => ({ name, type: TYPES[type] ?? 'text' }));
}

const TYPES: Readonly<Record<string, ColumnType>> = {
  bigint: 'bigint',
  integer: 'integer',
  boolean: 'boolean',
  'timestamp with time zone': 'moment',
};
