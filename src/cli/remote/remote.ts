/**
 * What talks to servers. It is built apart from the programs and loaded when an address is named: what it shares with the
 * commands would else be split into many small files, and every command would start later.
 */
import type { BlockSource } from '../../index.js';
import { openUrl } from '../../node/index.js';
import type { ListedObject } from './listed-object.js';
import type { RemoteOptions } from './remote-options.js';

/**
 * Opens an `http://`, `https://` or `s3://` address.
 *
 * @throws QsnapError OPEN_FAILED.
 */
export async function openRemote(location: string, options: RemoteOptions): Promise<BlockSource> {
  const spread = { random: Math.random, ...options };
  if (!/^s3:/i.test(location)) return openUrl(location, spread);
  const { openS3 } = await import('./s3/open-s3.js');
  return openS3(location, spread);
}

/** `listObjects`. */
export async function* listBucket(
  location: string,
  options: RemoteOptions,
): AsyncGenerator<ListedObject> {
  const { listPages } = await import('./s3/list-pages.js');
  yield* listPages(location, { random: Math.random, ...options });
}
