import type { BlockSource } from '../../index.js';
import { openUrl } from '../../node/index.js';
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
