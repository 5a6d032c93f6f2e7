import { httpSource, type BlockSource } from '../../../index.js';
import { steadyFetch } from '../../../node/index.js';
import type { RemoteOptions } from '../remote-options.js';
import { failureOf, s3Fetch } from './s3-fetch.js';
import { s3Access } from './s3-access.js';
import { parseS3Location } from './s3-location.js';

/**
 * Opens an object of a bucket.
 *
 * @throws QsnapError OPEN_FAILED.
 */
export async function openS3(location: string, options: RemoteOptions): Promise<BlockSource> {
  const { bucket, key } = parseS3Location(location);
  const access = await s3Access(location, options.env ?? process.env);
  const fetch = s3Fetch({ bucket, key, query: {} }, access, options);
  try {
    return await httpSource(location, { ...steadyFetch(fetch, options), requestsInFlight: 16 });
  } catch (error) {
    throw failureOf(error, access);
  }
}
