import { printableText } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { localTimeText, oneSafeLine, sizeText } from '../../text.js';
import type { SqlValue } from '../database/database.js';
import type { Answer, AnswerColumn } from '../questions/answer.js';
import type { GoneSnapshot } from '../questions/what-if-prune.js';
import { millisecondsOf } from '../moment.js';

/** Longer texts push only their own row. */
const TEXT_WIDTH_MAX = 40;
/** Snapshots of which a cell tells the ids. */
const IDS_MAX = 3;

/** An answer as a table for people. */
export function answerLines({ columns, rows, ifNone }: Answer): readonly string[] {
  if (rows.length === 0) return [ifNone];
  return tableLines(
    columns.map((column, i) => tableColumn(column, rows, i)),
    rows.map((row) => row.map((value, i) => cellText(columns[i]!, value))),
  );
}

function tableColumn({ kind, title }: AnswerColumn, rows: Answer['rows'], index: number): Column {
  const isNumber =
    kind === 'bytes' ||
    kind === 'count' ||
    (kind === 'value' && rows.every((row) => row[index] === null || isNumeric(row[index]!)));
  return {
    title: oneSafeLine(title),
    align: isNumber ? 'right' : 'left',
    ...(!isNumber && { widthMax: TEXT_WIDTH_MAX }),
  };
}

/** Numbers of any length come as texts. */
const isNumeric = (value: SqlValue): boolean =>
  typeof value === 'number' || (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value));

/** A value as people read it. */
export function cellText({ kind, absent = '' }: AnswerColumn, value: SqlValue): string {
  if (value === null) return absent;
  switch (kind) {
    case 'outside':
      return printableText(plainText(value));
    case 'bytes':
      return sizeText(Number(value));
    case 'time':
      return localTimeText(Math.floor(millisecondsOf(value as string) / 1000));
    case 'snapshots':
      return idsText(value as unknown as readonly GoneSnapshot[]);
    case 'printed':
    case 'count':
    case 'value':
      return oneSafeLine(plainText(value));
  }
}

/** A value as one text: what is no text or number, as JSON. */
export function plainText(value: SqlValue): string {
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function idsText(snapshots: readonly GoneSnapshot[]): string {
  const ids = snapshots.slice(0, IDS_MAX).map(({ snapshot_id: id }) => oneSafeLine(id));
  const left = snapshots.length - ids.length;
  return left > 0 ? `${ids.join(', ')} and ${left} more` : ids.join(', ');
}
