import { isAbsolute, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Windows takes both. */
const SEPARATORS = sep === '/' ? '/' : /[\\/]/;

/**
 * The URI of a file: of a relative path a relative reference without `.` and empty segments, of an absolute one a `file:`
 * URI. It has only characters that RFC 3986 allows. A relative path keeps its `..`: where that leads, links decide.
 */
export function fileUri(path: string): string {
  if (isAbsolute(path)) {
    // These are left as they are in URLs, and are none of a URI's.
    return pathToFileURL(path).href.replace(/[[\]|^]/g, encodeURIComponent);
  }
  return path
    .toWellFormed()
    .split(SEPARATORS)
    .filter((segment) => segment !== '' && segment !== '.')
    .map(encodeURIComponent)
    .join('/');
}
