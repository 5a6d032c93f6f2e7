import path from 'node:path';
import { digestOf } from '../../base/hasher.js';
import { utf8Bytes } from '../../base/text.js';
import { newSha256 } from '../sha256.js';
import { partialNameOf } from './output-file.js';

const SUFFIX = '.qsnap-group';
/** What file systems take. */
const NAME_BYTES_MAX = 255;
const DIGEST_CHARACTERS = 16;

/**
 * Where the record of a group lies beside an image. Where the name would be too long for its temporary one, the end of
 * the image's name gives way to its digest.
 *
 * @param image without links.
 */
export function recordPathOf(image: string): string {
  const folder = path.dirname(image);
  const name = path.basename(image);
  const whole = `.${name}${SUFFIX}`;
  if (fits(whole)) return path.join(folder, whole);
  const digest = digestOf(utf8Bytes(name), newSha256).slice(0, DIGEST_CHARACTERS);
  const characters = Array.from(name);
  const cut = (): string => `.${characters.join('')}~${digest}${SUFFIX}`;
  while (!fits(cut())) characters.pop();
  return path.join(folder, cut());
}

function fits(name: string): boolean {
  return utf8Bytes(path.basename(partialNameOf(name))).length <= NAME_BYTES_MAX;
}
