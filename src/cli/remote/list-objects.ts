import type { ListedObject } from './listed-object.js';
import type { RemoteOptions } from './remote-options.js';

/**
 * The objects whose keys begin as `location` says, in the order of their keys.
 *
 * @param location `s3://BUCKET/PREFIX`; without a prefix, the whole bucket.
 * @throws QsnapError OPEN_FAILED.
 */
export async function* listObjects(
  location: string,
  options: RemoteOptions = {},
): AsyncGenerator<ListedObject> {
  const { listBucket } = await import('./remote.js');
  yield* listBucket(location, options);
}
