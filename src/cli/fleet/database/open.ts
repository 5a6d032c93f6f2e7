import { homedir } from 'node:os';
import path from 'node:path';
import type { Database } from './database.js';
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

/** Opens a catalogue, and makes its tables where they are missing. @throws CatalogError. */
export async function openCatalog(location: string): Promise<Database> {
  const database = isServer(location)
    ? await (await import('./server.js')).openServer(location)
    : await (await import('./embedded.js')).openEmbedded(path.resolve(location));
  try {
    await prepareSchema(database);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
