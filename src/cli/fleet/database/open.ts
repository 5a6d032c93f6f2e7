import { homedir } from 'node:os';
import path from 'node:path';
import { CatalogError, type Database } from './database.js';
import { prepareSchema } from './schema.js';

/** Where a catalogue lies: the address of a server, or a folder. */
export function locationOf(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const chosen = given ?? env['QSNAP_DATABASE'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const data = env['XDG_DATA_HOME'] ?? '';
  return path.join(data === '' ? path.join(homedir(), '.local/share') : data, 'qsnap/catalog');
}

const isServer = (location: string): boolean => /^postgres(ql)?:\/\//.test(location);

/**
 * Opens a catalogue.
 *
 * @param makes whether one is made where there is none.
 * @throws CatalogError.
 */
export async function openCatalog(location: string, makes = true): Promise<Database> {
  if (!isServer(location) && /^[a-z][a-z0-9+.-]*:\/\//i.test(location)) {
    throw new CatalogError(
      'a catalogue lies in a folder or on a PostgreSQL server',
      'the address of a server begins with postgres://',
    );
  }
  const database = isServer(location)
    ? await (await import('./server.js')).openServer(location)
    : await (await import('./embedded.js')).openEmbedded(path.resolve(location), makes);
  try {
    await prepareSchema(database, makes);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
