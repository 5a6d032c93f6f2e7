import { throwIfAborted } from '../../base/abort.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { keptSnapshots } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import { refuseUnfit } from '../plan/refuse.js';
import { inState, type ExecuteOptions } from '../tx/execute.js';
import { makeDurable } from '../tx/make-durable.js';
import type { LiteralWrite } from '../tx/plan.js';
import { readBackWrites } from '../tx/read-back.js';
import { useUp } from '../tx/use-up.js';

/**
 * Writes key slots where they lie. Each step is on the medium, and was read back, before the next one begins: whoever makes
 * the steps sees to it that a cut between two of them loses no key. There is no shadow of a key slot, since a passphrase that
 * was taken away would still open the copy that is left in free clusters.
 *
 * @param steps what is written, in clusters of the image's LUKS header alone.
 * @throws QsnapError what every edit is refused for; with `imageState` `unchanged`, or `old-or-new` from the first write on.
 */
export async function changeKeys(
  image: OpenImage<BlockDevice>,
  steps: readonly (readonly WriteRequest[])[],
  { signal }: Pick<ExecuteOptions, 'signal'> = {},
): Promise<void> {
  await inState('unchanged', async () => {
    await refuseUnsafe(image, signal);
    useUp(image);
    throwIfAborted(signal, 'the edit');
    await makeDurable(image.source, image);
  });
  const { source: device } = image;
  await inState('old-or-new', async () => {
    for (const step of steps) {
      await device.writeBatch(step);
      await device.flush();
      await readBackWrites(device, step.map(literal));
    }
  });
}

const literal = ({ at, bytes }: WriteRequest): LiteralWrite => {
  return { kind: 'literal', what: 'key slot', at, bytes };
};

/** Clusters of the header that count for something else, too, must not be written: an edit that changes nothing finds them. */
async function refuseUnsafe(image: OpenImage, signal: ExecuteOptions['signal']): Promise<void> {
  refuseUnfit(image, { keepsData: true });
  // What lies in another file is nobody's cluster in this one.
  if (image.header.externalDataFile) return;
  const { diskSizeBytes } = image.header;
  const next = { diskSizeBytes, activeL1: undefined, snapshots: keptSnapshots(image) };
  const nothing = { operation: 'set' as const, summary: 'change key slots', created: [] };
  await planEdit(image, { ...nothing, next: () => next }, { signal });
}
