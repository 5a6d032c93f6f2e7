import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import {
  EXPORTED_TABLES,
  readTable,
  type ExportedTable,
} from '../../../src/cli/fleet/export/exported-table.js';
import { newOutput } from '../../../src/cli/fleet/export/new-output.js';
import { ENCODERS, type ExportFormat } from '../../../src/cli/fleet/export/row-encoders.js';
import type { Database, SqlRow } from '../../../src/cli/fleet/database/database.js';
import type { Catalogs } from '../../support/catalogs.js';
import { temporaryDirectory } from '../../support/directories.js';

const TABLES = Object.keys(EXPORTED_TABLES) as ExportedTable[];

async function exported(
  database: Database,
  table: ExportedTable,
  format: ExportFormat,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let finish = (): Uint8Array => new Uint8Array(0);
  await readTable(database, table, (columns) => {
    const encoder = ENCODERS[format](columns);
    finish = () => encoder.finish();
    return (rows) => {
      parts.push(encoder.add(rows));
      return Promise.resolve();
    };
  });
  return Buffer.concat([...parts, finish()]);
}

const bufferOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

export function exportCases(opened: () => Catalogs): void {
  test.each(TABLES)(
    '%s: CSV, JSON lines and Parquet have every row, on every database',
    async (table) => {
      const forms: unknown[] = [];
      for (const database of opened().all) {
        const { rows } = await database.query(`select count(*)::int4 as n from qsnap.${table}`);
        const count = Number(rows[0]!['n']);
        const lines = Buffer.from(await exported(database, table, 'jsonl'))
          .toString()
          .trim()
          .split('\n');
        const objects = lines.map((line) => JSON.parse(line) as SqlRow);
        const parquet = bufferOf(await exported(database, table, 'parquet'));
        const read = await parquetReadObjects({ file: parquet });
        const csv = Buffer.from(await exported(database, table, 'csv')).toString();
        expect(count).toBeGreaterThan(0);
        expect(objects.length).toBe(count);
        expect(csv.startsWith(`${Object.keys(objects[0]!).join(',')}\n`)).toBe(true);
        expect(read.map((row) => plain(row))).toEqual(objects);
        forms.push([csv, objects]);
      }
      for (const form of forms) expect(form).toEqual(forms[0]);
    },
  );

  test('Parquet has types: whole numbers of 64 bits, moments, truth values, texts', async () => {
    for (const database of opened().all) {
      await database.query(
        `update qsnap.images set file_bytes = 9223372036854775807 where location = '/b/there'`,
      );
      const file = bufferOf(await exported(database, 'images', 'parquet'));
      const elements = new Map(parquetMetadata(file).schema.map((one) => [one.name, one]));
      expect(elements.get('file_bytes')).toMatchObject({ type: 'INT64' });
      expect(elements.get('is_dirty')).toMatchObject({ type: 'BOOLEAN' });
      expect(elements.get('cluster_bytes')).toMatchObject({ type: 'INT32' });
      expect(elements.get('read_at')).toMatchObject({ converted_type: 'TIMESTAMP_MILLIS' });
      expect(elements.get('location')).toMatchObject({ converted_type: 'UTF8' });
      const rows = await parquetReadObjects({ file });
      const row = rows.find(({ location }) => location === '/b/there')!;
      expect(row).toMatchObject({
        file_bytes: 9_223_372_036_854_775_807n,
        is_dirty: true,
        read_at: new Date('2026-11-22T14:03:12.345Z'),
      });
    }
  });

  test('a file that is there stays', async () => {
    const file = path.join(temporaryDirectory(), 'rows.csv');
    const stdout = { isTerminal: false, write: () => undefined };
    const first = await newOutput(file, false, stdout);
    await first.write(new TextEncoder().encode('one'));
    await first.write(new TextEncoder().encode(', two'));
    await first.commit();
    expect(readFileSync(file, 'utf8')).toBe('one, two');
    await expect(newOutput(file, false, stdout)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    const second = await newOutput(file, true, stdout);
    await second.write(new TextEncoder().encode('new'));
    await second.discard();
    expect(readFileSync(file, 'utf8')).toBe('one, two');
  });

  test('a table without rows has its names', () => {
    for (const format of ['csv', 'parquet'] as const) {
      const encoder = ENCODERS[format]([{ name: 'id', type: 'bigint' }]);
      const bytes = encoder.finish();
      if (format === 'csv') expect(Buffer.from(bytes).toString()).toBe('id\n');
      else expect(parquetMetadata(bufferOf(bytes)).schema.map(({ name }) => name)).toContain('id');
    }
  });
}

/** A row of Parquet as JSON has it. */
function plain(row: Record<string, unknown>): SqlRow {
  const value = (one: unknown): unknown => {
    if (typeof one === 'bigint')
      return Number.isSafeInteger(Number(one)) ? Number(one) : String(one);
    return one instanceof Date ? one.toISOString().replace(/\.?0+Z$/, 'Z') : (one ?? null);
  };
  return Object.fromEntries(Object.entries(row).map(([name, one]) => [name, value(one)])) as SqlRow;
}
