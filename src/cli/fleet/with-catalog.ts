import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { oneSafeLine } from '../text.js';
import type { Context } from '../qsnap/context.js';
import { CatalogError, type Database } from './database/database.js';
import { locationOf, openCatalog } from './database/open.js';
import { patiently } from './worker/patience.js';

/** Flags of every command on a catalogue. */
export interface CatalogFlags {
  /** A folder, or the address of a PostgreSQL server. */
  readonly database?: string;
}

/** How a catalogue is opened. */
export interface Opening {
  /** Whether one is made where there is none. */
  readonly makes?: boolean;
  /** How long a server may be away. */
  readonly patienceMs?: number;
}

/** Opens the catalogue, hands it to `use`, and closes it whatever happens. */
export async function withCatalog(
  flags: CatalogFlags,
  context: Context,
  use: (database: Database) => Promise<ExitCode>,
  { makes = false, patienceMs = 0 }: Opening = {},
): Promise<ExitCode> {
  const location = locationOf(flags.database, context.io.env);
  try {
    const database = await patiently(() => openCatalog(location, makes), patienceMs);
    try {
      return await use(database);
    } finally {
      await database.close();
    }
  } catch (error) {
    reportCatalogError(asCatalogError(error), context);
    return EXIT_CODES.notDone.code;
  }
}

/** What servers, and texts that grow too long, refuse; all else is a bug. */
function asCatalogError(error: unknown): CatalogError {
  if (error instanceof CatalogError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof Error && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]+$/.test(code)) {
    const hint = code === '42501' ? 'the user of the database lacks a right' : undefined;
    return new CatalogError(`the database says: ${error.message}`, hint, error);
  }
  if (error instanceof RangeError && /string length/.test(error.message)) {
    return new CatalogError(
      'the answer is too long for one document',
      'ask for fewer rows, or for --format jsonl',
      error,
    );
  }
  throw error;
}

/** What failed, on stderr. */
export function reportCatalogError({ message, hint }: CatalogError, context: Context): void {
  const lines = [`${context.errorStyle.error('qsnap:')} ${oneSafeLine(message)}`];
  if (hint !== undefined) lines.push(`hint: ${oneSafeLine(hint)}`);
  context.io.stderr.write(`${lines.join('\n')}\n`);
}
