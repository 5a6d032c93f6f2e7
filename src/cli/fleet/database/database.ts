/** What the catalogue asks of a database: one SQL for the embedded engine and for a server. */

/** A value of a row: texts as PostgreSQL prints them, numbers where they are exact. */
export type SqlValue =
  string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
type JsonValue = SqlValue;

export type SqlRow = Readonly<Record<string, SqlValue>>;

/** What was answered, with the names of its columns even where there is no row. */
export interface SqlResult<Row extends object = SqlRow> {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** Takes statements, alone or within a transaction. */
export interface Sql {
  /** One statement; `$1` stands for the first of `values`. */
  query<Row extends object = SqlRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<SqlResult<Row>>;
}

/** The same as lists: several columns may have one name. */
export interface SqlTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/** Takes statements that change nothing. */
export interface ReadingSql extends Sql {
  /** One statement, whatever its text says, in the words of whoever asks. */
  table(text: string, values?: readonly unknown[]): Promise<SqlTable>;
}

/** Of transactions that read: the same state of the database for all statements, and no write. */
export const READING = 'isolation level repeatable read, read only';

/** For them: tables by their short names. Compiling what runs once takes longer than it saves. */
export const READING_SETTINGS = 'set local search_path = qsnap, public; set local jit = off';

/** An open database. */
export interface Database extends Sql {
  /** What people call it: a folder, or the address of a server without its password. */
  readonly label: string;
  /** Whether this process alone has it; else workers on other hosts may have it, too. */
  readonly isEmbedded: boolean;
  /** All of `work` or nothing of it. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** The same for questions: what `work` asks for can change nothing. */
  reading<T>(work: (sql: ReadingSql) => Promise<T>): Promise<T>;
  /** Several statements without values. */
  script(text: string): Promise<void>;
  /** Options of pg-boss, which has connections of its own. */
  readonly queueOptions: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

/** Why a catalogue can't be used; the message is for people. */
export class CatalogError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'CatalogError';
    this.hint = hint;
  }
}

/** Who only asks makes nothing. */
export function noCatalog(label: string): CatalogError {
  return new CatalogError(`there is no catalogue in ${label}`, '`qsnap catalog add` makes one');
}
