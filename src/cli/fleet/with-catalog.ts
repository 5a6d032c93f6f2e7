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

/**
 * Opens the catalogue, hands it to `use`, and closes it whatever happens.
 *
 * @param patienceMs how long a server may be away when it is opened.
 */
export async function withCatalog(
  flags: CatalogFlags,
  context: Context,
  use: (database: Database) => Promise<ExitCode>,
  patienceMs = 0,
): Promise<ExitCode> {
  const location = locationOf(flags.database, context.io.env);
  try {
    const database = await patiently(() => openCatalog(location), patienceMs);
    try {
      return await use(database);
    } finally {
      await database.close();
    }
  } catch (error) {
    if (!(error instanceof CatalogError)) throw error;
    reportCatalogError(error, context);
    return EXIT_CODES.notDone.code;
  }
}

/** What failed, on stderr. */
export function reportCatalogError({ message, hint }: CatalogError, context: Context): void {
  const lines = [`${context.errorStyle.error('qsnap:')} ${oneSafeLine(message)}`];
  if (hint !== undefined) lines.push(`hint: ${oneSafeLine(hint)}`);
  context.io.stderr.write(`${lines.join('\n')}\n`);
}
