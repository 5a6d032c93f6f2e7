import { jsonText } from '../../text.js';
import { isoText } from '../moment.js';
import { csvCell, csvText } from '../present/answer-data.js';
import type { ExportedColumn, SqlRowList } from './exported-table.js';
import type { RowEncoder } from './row-encoder.js';
import { parquetEncoder } from './parquet.js';

export type ExportFormat = 'csv' | 'jsonl' | 'parquet';

export const ENCODERS: Readonly<
  Record<ExportFormat, (columns: readonly ExportedColumn[]) => RowEncoder>
> = { csv: csvEncoder, jsonl: jsonLinesEncoder, parquet: parquetEncoder };

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

function csvEncoder(columns: readonly ExportedColumn[]): RowEncoder {
  let head: readonly (readonly string[])[] = [columns.map(({ name }) => name)];
  const encoded = (rows: readonly SqlRowList[]): Uint8Array => {
    const lines = withIsoMoments(columns, rows).map((row) => row.map(csvCell));
    const text = csvText([...head, ...lines]);
    head = [];
    return encoder.encode(text);
  };
  return { add: encoded, finish: () => (head.length > 0 ? encoded([]) : NOTHING) };
}

function jsonLinesEncoder(columns: readonly ExportedColumn[]): RowEncoder {
  return {
    add: (rows) => {
      const lines = withIsoMoments(columns, rows).map((row) =>
        jsonText(Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])), 0),
      );
      return encoder.encode(lines.join(''));
    },
    finish: () => NOTHING,
  };
}

function withIsoMoments(
  columns: readonly ExportedColumn[],
  rows: readonly SqlRowList[],
): readonly SqlRowList[] {
  return rows.map((row) =>
    row.map((value, i) =>
      columns[i]!.type === 'moment' && typeof value === 'string' ? isoText(value) : value,
    ),
  );
}
