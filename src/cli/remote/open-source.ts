import type { BlockSource } from '../../index.js';
import { openFile } from '../../node/index.js';
import { isUrl } from './location.js';
import type { RemoteOptions } from './remote-options.js';

/** A file as `openFile` gives it. */
type HostFile = Awaited<ReturnType<typeof openFile>>;

/** A source, with what only files of the host have where it is one. */
export type OpenedSource = BlockSource & Partial<HostFile>;

export interface OpenSourceOptions extends RemoteOptions {
  /** Read a file without a lock, whatever others do with it. */
  readonly forceShare?: boolean;
}

/**
 * Opens what a word on the command line names for reading: `http://`, `https://` and `s3://` addresses, and else a file.
 *
 * @throws QsnapError OPEN_FAILED and whatever else `openFile` throws.
 */
export async function openSource(
  location: string,
  options: OpenSourceOptions = {},
): Promise<OpenedSource> {
  if (!isUrl(location)) return openFile(location, { forceShare: options.forceShare === true });
  const { openRemote } = await import('./remote.js');
  return openRemote(location, options);
}
