import type { BlockSource } from './device.js';
import { viewOf } from './view.js';

const EXPECT = Symbol('expect reads');

/** How much more has to be read before something is told again. */
const LEAST_SHARE = 0.01;

/**
 * The same source, which tells what share is read of all that is to be read. Nothing is told before `expectReads` has
 * said how much that is.
 *
 * @param restBytes what is to be read besides what `expectReads` says.
 * @param onShare gets ever larger numbers from 0 to 1, at most a hundred of them.
 */
export function watched<Source extends BlockSource>(
  source: Source,
  restBytes: number,
  onShare: (share: number) => void,
): Source {
  let expectedBytes: number | undefined;
  let readBytes = 0;
  let told = 0;
  const expect = (bytes: number): void => {
    expectedBytes = (expectedBytes ?? restBytes) + bytes;
  };
  const readBatch: BlockSource['readBatch'] = async (requests) => {
    await source.readBatch(requests);
    if (expectedBytes === undefined) return;
    for (const { into } of requests) readBytes += into.length;
    const share = Math.min(1, readBytes / expectedBytes);
    if (share < told + LEAST_SHARE) return;
    told = share;
    onShare(share);
  };
  const replaced = new Map<string | symbol, unknown>([
    ['readBatch', readBatch],
    [EXPECT, expect],
  ]);
  return viewOf(source, replaced);
}

/** Says to whoever watches the source that so many bytes of it are going to be read. */
export function expectReads(source: BlockSource, bytes: number): void {
  (source as { readonly [EXPECT]?: (bytes: number) => void })[EXPECT]?.(bytes);
}
