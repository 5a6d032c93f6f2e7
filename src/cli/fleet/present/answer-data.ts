import { stringify } from 'csv-stringify/sync';
import { oneSafeLine, jsonText } from '../../text.js';
import type { SqlValue } from '../database/database.js';
import type { Answer, AnswerColumn } from '../questions/answer.js';
import { plainText } from './answer-text.js';
import { isoText } from '../moment.js';

/** Rows as objects; of columns with one name the second is called `name_2`. */
export function answerRows({ columns, rows }: Answer): readonly Record<string, SqlValue>[] {
  const names = distinctNames(columns);
  return rows.map((row) =>
    Object.fromEntries(row.map((value, i) => [names[i]!, dataOf(columns[i]!, value)])),
  );
}

/** The same, an object a line. */
export function answerJsonLines(answer: Answer): string {
  return answerRows(answer)
    .map((row) => jsonText(row, 0))
    .join('');
}

/**
 * The same as CSV with a line of names.
 *
 * @param isForTerminal control characters are escaped, which a program would have to have as they are.
 */
export function answerCsv({ columns, rows }: Answer, isForTerminal: boolean): string {
  const cell = (column: AnswerColumn, value: SqlValue): string => {
    const text = csvCell(dataOf(column, value));
    return isForTerminal ? oneSafeLine(text) : text;
  };
  return csvText([
    columns.map(({ name }) => csvCell(name)),
    ...rows.map((row) => row.map((value, i) => cell(columns[i]!, value))),
  ]);
}

/** Cells as lines of CSV, quoted where they must be. RFC 4180, but for the line ends. */
export function csvText(rows: readonly (readonly string[])[]): string {
  return stringify(rows.map((row) => [...row]));
}

/** What programs for tables take for the beginning of a formula, and the sign that keeps them from it. */
const FORMULA = /^[=+\-@\t\r'\uff0b\uff0d\uff1d\uff20]/;

/**
 * A value as a cell. Names come from images of strangers, and a program for tables would carry out a name that begins as
 * a formula: such a text gets a `'` in front, and so does one that begins with that sign, so that who takes one `'` away
 * has the text again.
 */
export function csvCell(value: SqlValue): string {
  const text = plainText(value);
  return typeof value === 'string' && FORMULA.test(text) ? `'${text}` : text;
}

function dataOf({ kind }: AnswerColumn, value: SqlValue): SqlValue {
  return kind === 'time' && typeof value === 'string' ? isoText(value) : value;
}

function distinctNames(columns: readonly AnswerColumn[]): readonly string[] {
  const used = new Set<string>();
  return columns.map(({ name }) => {
    let own = name;
    for (let n = 2; used.has(own); n++) own = `${name}_${n}`;
    used.add(own);
    return own;
  });
}
