import type { BlockDevice } from '../../io/device.js';
import { inState, refuseIfChanged } from './execute.js';
import type { WritePlan } from './plan.js';
import { SWITCH_END, SWITCH_FROM } from './rules.js';

/**
 * Brings the state that an image shows to the medium. A program that was killed between the write of its switch and the
 * flush leaves a header that the system shows and the medium may lack. A flush alone may find nothing to write, since a
 * flush that failed before may have dropped the page; so the same bytes are written again.
 *
 * @param image as it was read; its device is locked.
 * @throws QsnapError IMAGE_CHANGED; READ_FAILED, WRITE_FAILED, NO_SPACE with `old-or-new`: after a power cut the image
 *   may have the state before its switch.
 */
export async function makeDurable(
  device: BlockDevice,
  { headerSector, fileSizeBytes }: Pick<WritePlan, 'headerSector' | 'fileSizeBytes'>,
): Promise<void> {
  await inState('old-or-new', async () => {
    await refuseIfChanged(device, { headerSector }, fileSizeBytes);
    const bytes = headerSector.slice(SWITCH_FROM, SWITCH_END);
    await device.writeBatch([{ at: SWITCH_FROM, bytes }]);
    await device.flush();
  });
}
