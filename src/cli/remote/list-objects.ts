import type { RemoteOptions } from './remote-options.js';

/** An object of a bucket. */
export interface ListedObject {
  /** `s3://BUCKET/KEY`, as `openSource` takes it. */
  readonly location: string;
  readonly key: string;
  readonly sizeBytes: number;
  /** In its quotes, as answers to requests have it. */
  readonly etag: string;
  readonly lastModified: Date;
}

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
