import path from 'node:path';
import { isUrl } from '../../remote/location.js';

/**
 * Where the backing file of an image lies, as a catalogue names files. It is only a name: nothing is opened.
 *
 * @returns undefined where the name is none of a file: `json:…`, another protocol, or relative to a URL.
 */
export function backingLocationOf(
  location: string,
  backingName: string | undefined,
): string | undefined {
  // A database takes no NUL in a text.
  if (backingName === undefined || /^$|\0/.test(backingName)) return undefined;
  const name = backingName.startsWith('file:') ? backingName.slice('file:'.length) : backingName;
  if (isUrl(name)) return name;
  if (/^[a-z][a-z0-9+.-]*:/i.test(name)) return undefined;
  return isUrl(location) ? undefined : path.resolve(path.dirname(location), name);
}
