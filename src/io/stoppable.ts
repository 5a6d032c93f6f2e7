import { throwIfAborted } from '../base/abort.js';
import type { BlockSource } from './device.js';
import { viewOf } from './view.js';

/** What can be asked of work that only reads, such as planning an edit. */
export interface Stoppable {
  /** Ends the work before or after its next read, with ABORTED. Nothing was written by then. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The same source, whose reads end with ABORTED once the signal says so: whoever reads through it stops at
 * the next batch, however deep the loop is that reads. The source itself where there is no signal.
 *
 * @param what is stopped, for the message.
 */
export function stoppable<Source extends BlockSource>(
  source: Source,
  signal: AbortSignal | undefined,
  what: string,
): Source {
  if (signal === undefined) return source;
  const readBatch: BlockSource['readBatch'] = async (requests) => {
    throwIfAborted(signal, what);
    await source.readBatch(requests);
    throwIfAborted(signal, what);
  };
  return viewOf(source, new Map([['readBatch', readBatch]]));
}

/** What was read of an image, with reads that the signal stops. */
export function stoppableImage<Image extends { readonly source: BlockSource }>(
  image: Image,
  signal: AbortSignal | undefined,
  what: string,
): Image {
  return signal === undefined ? image : { ...image, source: stoppable(image.source, signal, what) };
}
