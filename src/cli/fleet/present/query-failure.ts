import { oneSafeLine } from '../../text.js';
import { displayWidth } from '../../columns.js';
import type { QueryError } from '../questions/own-sql.js';

/** What is wrong with a statement, and the line of it with a mark under the place. */
export function queryFailureLines(
  { message, position, hint }: QueryError,
  statement: string,
): readonly string[] {
  return [
    oneSafeLine(message),
    ...(position === undefined ? [] : placeLines(statement, position)),
    ...(hint === undefined ? [] : [`hint: ${oneSafeLine(hint)}`]),
  ];
}

/** @param position characters from 1, as databases count them. */
function placeLines(statement: string, position: number): readonly string[] {
  const before = Array.from(statement)
    .slice(0, position - 1)
    .join('');
  const start = before.lastIndexOf('\n') + 1;
  const end = statement.indexOf('\n', before.length);
  const line = oneSafeLine(statement.slice(start, end === -1 ? undefined : end));
  const column = displayWidth(oneSafeLine(before.slice(start)));
  return [`  ${line}`, `  ${' '.repeat(column)}^`];
}
