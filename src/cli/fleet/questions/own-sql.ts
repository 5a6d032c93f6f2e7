import { CatalogError, type Database } from '../database/database.js';
import type { Answer } from './answer.js';

/** A statement that the database could not answer. */
export class QueryError extends CatalogError {
  /** The SQLSTATE. */
  readonly state: string;
  /** Where in the statement the fault is: characters from 1. */
  readonly position: number | undefined;

  constructor(message: string, state: string, position?: number, hint?: string, cause?: unknown) {
    super(message, hint, cause);
    this.name = 'QueryError';
    this.state = state;
    this.position = position;
  }
}

/** What a question begins with; all else does something. */
const QUESTION = /^(?:\s|--[^\n]*\n|\/\*[^]*?\*\/|\()*(select|with|values|table|show|explain)\b/i;

const ONLY_READ = 'a question can only read';
const ONLY_READ_HINT =
  'it begins with select, with, values, table, show or explain; `qsnap catalog add`, `refresh` and `remove` change the catalogue';

/**
 * Asks by a statement of somebody's own, which can change nothing.
 *
 * @throws QueryError where it is no question, or the database can't answer it.
 */
export async function askOwn(database: Database, text: string): Promise<Answer> {
  if (!QUESTION.test(text))
    throw new QueryError(ONLY_READ, STATES.readOnly, undefined, ONLY_READ_HINT);
  try {
    const { columns, rows } = await database.reading((sql) => sql.table(text));
    return {
      columns: columns.map((name) => ({ name, title: name, kind: 'value' })),
      rows,
      hasMore: false,
      ifNone: 'No rows.',
    };
  } catch (error) {
    throw queryError(error);
  }
}

/** PostgreSQL's codes. */
const STATES = { readOnly: '25006', syntax: '42601' } as const;

/** What the database says of a statement, in an error of ours; anything else as it is. */
function queryError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const { code, message } = error;
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return error;
  if (code === STATES.readOnly)
    return new QueryError(ONLY_READ, code, undefined, ONLY_READ_HINT, error);
  if (code === STATES.syntax && message.includes('multiple commands')) {
    return new QueryError('one statement at a time', code, undefined, undefined, error);
  }
  const { position, hint } = error as { position?: string; hint?: string };
  const at = Number(position);
  return new QueryError(message, code, at > 0 ? at : undefined, hint, error);
}
