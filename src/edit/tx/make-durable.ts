import type { BlockDevice } from '../../io/device.js';
import type { WritePlan } from './plan.js';
import { refuseIfChanged } from './refuse-changed.js';
import { SWITCH_END, SWITCH_FROM } from './rules.js';

/**
 * Brings the state that an image shows to the medium, before anything else is written. A program that was killed between
 * the write of its switch and the flush leaves a header that the system shows and the medium may lack. An edit that
 * went on from there would overwrite clusters that the older header on the medium still leads to.
 *
 * A flush alone may find nothing to write, since a flush that failed before may have dropped the page. So the same
 * bytes are written again.
 *
 * @throws QsnapError IMAGE_CHANGED; READ_FAILED, WRITE_FAILED, NO_SPACE: the image still shows the same state, and after
 *   a power cut it may have the one before.
 */
export async function makeDurable(
  device: BlockDevice,
  { headerSector, fileSizeBytes }: Pick<WritePlan, 'headerSector' | 'fileSizeBytes'>,
): Promise<void> {
  await refuseIfChanged(device, { headerSector }, fileSizeBytes);
  const bytes = headerSector.slice(SWITCH_FROM, SWITCH_END);
  await device.writeBatch([{ at: SWITCH_FROM, bytes }]);
  await device.flush();
}
