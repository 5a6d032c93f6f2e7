import { isQsnapError, type QsnapError } from '../errors.js';
import { backingFormat, backingName, refuseUnread, type OpenImage } from '../image/image.js';
import { openForReading } from '../image/open-for-reading.js';
import type { BlockSource } from '../io/device.js';
import { stoppable } from '../io/stoppable.js';
import { ChainGuard, looksLikeQcow2 } from '../read/guest/backing.js';
import type { Gate } from '../read/guest/gate.js';
import type { BackingChain, ChainLayer } from './rule.js';

/**
 * Opens the files of a backing chain one after the other, each no longer than it takes to open the next.
 *
 * @throws QsnapError ABORTED.
 */
export async function followChain(
  top: OpenImage,
  gate: Gate,
  signal: AbortSignal | undefined,
): Promise<BackingChain> {
  const layers: ChainLayer[] = [];
  let layer = 0;
  let above: BlockSource | undefined;
  try {
    let guard = await ChainGuard.from(top.source);
    let image: OpenImage | undefined = top;
    while (image?.backingNameBytes !== undefined) {
      layer += 1;
      const opened = await gate.openBacking(image);
      const before = above;
      above = opened.source;
      await before?.close();
      guard = guard.below(image, opened);
      const source = stoppable(opened.source, signal, 'the audit');
      const beginsAsQcow2 = await looksLikeQcow2(source);
      const [name, recorded] = [backingName(image)!, backingFormat(image)];
      layers.push({ name, recorded, beginsAsQcow2 });
      const isQcow2 = opened.format === undefined ? beginsAsQcow2 : opened.format === 'qcow2';
      image = isQcow2 ? await openForReading(source) : undefined;
      if (image !== undefined) refuseUnread(image, undefined);
    }
    return { layers, problem: undefined };
  } catch (error) {
    return { layers, problem: { layer, reason: reasonOf(error) } };
  } finally {
    await above?.close();
  }
}

/** What is wrong with a chain is a fact of the image; a stop, or a mistake of ours, is not. */
function reasonOf(error: unknown): QsnapError {
  if (!isQsnapError(error) || error.kind === 'internal' || error.code === 'ABORTED') throw error;
  return error;
}
