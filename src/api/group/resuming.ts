import { hinted } from '../../base/hints.js';
import { isQsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { inState } from '../../edit/tx/execute.js';
import { ofFile, withStates } from '../../edit/tx/execute-together.js';
import { makeDurable } from '../../edit/tx/make-durable.js';

/**
 * What images have that count as done gets to the medium before anything else is written: the record may go only then,
 * and nobody else writes to them meanwhile.
 */
export async function makeAllDurable(
  images: readonly { readonly device: BlockDevice; readonly image: OpenImage }[],
): Promise<void> {
  for (const { device, image } of images) {
    try {
      await ofFile(device, () => inState('old-or-new', () => makeDurable(device, image)));
    } catch (error) {
      const isBare = isQsnapError(error) && error.details.hint === undefined;
      throw isBare ? error.with(hinted('resume-group')) : error;
    }
  }
}

/** A resume saves no disks under a name: the record has that, or nothing has. */
export async function toldHow<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isUnsaved = isQsnapError(error) && error.code === 'UNSAVED_CHANGES';
    throw isUnsaved ? error.with(hinted('discard-in-resume')) : error;
  }
}

/** What failed while an edit was resumed, with the state of the images that had the edit before. */
export function beside(
  haveIt: readonly string[],
  sources: readonly BlockSource[],
  error: unknown,
): unknown {
  if (!isQsnapError(error) || haveIt.length === 0) return error;
  const { imageState, imageStates } = error.details;
  if (imageState === undefined || imageState === 'unchanged' || imageState === 'new') return error;
  const each = sources.map(({ label }) => {
    const state = haveIt.includes(label) ? 'new' : (imageStates?.[label] ?? imageState);
    return [label, state] as const;
  });
  // What the message says of those of this run is said again, of all.
  const plain = isQsnapError(error.cause) && imageStates !== undefined ? error.cause : error;
  return withStates(plain, Object.fromEntries(each));
}
