import type { SqlRowList } from './exported-table.js';

/** Makes bytes of rows, some at a time. */
export interface RowEncoder {
  add(rows: readonly SqlRowList[]): Uint8Array;
  /** What comes after the last row. */
  finish(): Uint8Array;
}
