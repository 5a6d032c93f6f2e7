import { urlLabel } from '../../internal.js';

/** Only words that begin so are addresses; `./http:…` is a file. */
const URL_START = /^(https?|s3):\/\//i;

/** Whether a word on the command line is an address, and not the path of a file. */
export function isUrl(location: string): boolean {
  return URL_START.test(location);
}

/** A path, or an address without what may be secret in it: what is printed of the word. */
export function shownLocation(location: string): string {
  return isUrl(location) ? urlLabel(location) : location;
}
