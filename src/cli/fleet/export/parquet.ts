import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { SqlValue } from '../database/database.js';
import { millisecondsOf } from '../moment.js';
import { plainText } from '../present/answer-text.js';
import { VERSION } from '../../version.js';
import type { ColumnType, ExportedColumn } from './exported-table.js';
import type { RowEncoder } from './row-encoder.js';

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema'];
type Element = Schema[number];

/** How Parquet has each type. Sizes stay whole past 2^53. */
const ELEMENTS: Readonly<Record<ColumnType, Partial<Element>>> = {
  bigint: { type: 'INT64' },
  integer: { type: 'INT32' },
  boolean: { type: 'BOOLEAN' },
  moment: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MILLIS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
  },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
};

/** A Parquet file; what is added at once is a row group. */
export function parquetEncoder(columns: readonly ExportedColumn[]): RowEncoder {
  const bytes = new ByteWriter();
  const schema: Schema = [
    { name: 'schema', num_children: columns.length },
    ...columns.map(({ name, type }) => ({
      name,
      repetition_type: 'OPTIONAL' as const,
      ...ELEMENTS[type],
    })),
  ];
  const parquet = new ParquetWriter({ writer: bytes, schema, createdBy: `qsnap ${VERSION}` });
  const taken = (): Uint8Array => {
    const chunk = bytes.getBytes().slice();
    // Positions in the file count on.
    bytes.index = 0;
    return chunk;
  };
  return {
    add: (rows) => {
      const columnData = columns.map(({ name, type }, i) => {
        return { name, data: rows.map((row) => valueOf(type, row[i]!)) };
      });
      void parquet.write({ columnData, rowGroupSize: rows.length });
      return taken();
    },
    finish: () => {
      void parquet.finish();
      return taken();
    },
  };
}

function valueOf(type: ColumnType, value: SqlValue): bigint | Date | SqlValue {
  if (value === null) return null;
  if (type === 'bigint') return BigInt(value as number | string);
  if (type === 'moment') return new Date(millisecondsOf(value as string));
  return type === 'text' ? plainText(value) : value;
}
