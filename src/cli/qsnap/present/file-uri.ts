import { isAbsolute, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isUrl } from '../../remote/location.js';

/** Windows takes both. */
const SEPARATORS = sep === '/' ? '/' : /[\\/]/;

/** Characters that are left as they are in URLs, and are none of a URI's. */
const NONE_OF_A_URI = /[[\]|^`{}<>"]/g;

/**
 * The URI of an image: of a relative path a relative reference without `.` and empty segments, of an absolute one a `file:`
 * URI, of an image on a server its address. It has only characters that RFC 3986 allows. A relative path keeps its `..`:
 * where that leads, links decide.
 */
export function fileUri(path: string): string {
  if (isUrl(path)) return addressUri(path);
  if (isAbsolute(path)) return pathToFileURL(path).href.replace(NONE_OF_A_URI, encodeURIComponent);
  return referenceOf(path.split(SEPARATORS).filter((segment) => segment !== '.' && segment !== ''));
}

/** The address of a web server is escaped already; a key is not. */
function addressUri(address: string): string {
  const [, scheme, key] = /^(s3:\/\/)(.*)$/isu.exec(address) ?? [];
  if (key !== undefined) return `${scheme}${referenceOf(key.split('/'))}`;
  // One that is none could not be opened.
  if (!URL.canParse(address)) return referenceOf([address]);
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname.replace(NONE_OF_A_URI, encodeURIComponent)}`;
}

function referenceOf(segments: readonly string[]): string {
  return segments.map((segment) => encodeURIComponent(segment.toWellFormed())).join('/');
}
