import { isDeepStrictEqual } from 'node:util';
import type { Contents } from './contents.js';

/** How what a disturbed run left differs from an undisturbed one; empty where it does not. */
export function differences(
  found: Contents,
  wanted: Contents,
  disturbed: ReadonlySet<string>,
): readonly string[] {
  const lines: string[] = [];
  if (found.unread > 0) lines.push(`${found.unread} images were not read`);
  for (const [table, rows] of Object.entries(wanted.tables)) {
    const others = found.tables[table]!;
    if (others.length !== rows.length) {
      lines.push(`${table}: ${others.length} rows, and ${rows.length} wanted`);
    }
    for (const [i, row] of rows.entries()) {
      if (isDeepStrictEqual(others[i], row)) continue;
      lines.push(`${table}: ${JSON.stringify(others[i])} instead of ${JSON.stringify(row)}`);
      break;
    }
  }
  // What did not change has no history, however often its reading was begun.
  for (const location of Object.keys(found.changed)) {
    if (!disturbed.has(location)) lines.push(`${location} has changes, and did not change`);
  }
  return lines;
}
