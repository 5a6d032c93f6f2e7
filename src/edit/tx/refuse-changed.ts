import { sameBytes } from '../../base/text.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import type { BlockDevice } from '../../io/device.js';
import type { WritePlan } from './plan.js';

/**
 * Refuses an image that somebody else has changed, replaced or cut off since it was read.
 *
 * @param sizeBytes what the file has to have now.
 * @throws QsnapError IMAGE_CHANGED.
 */
export async function refuseIfChanged(
  device: BlockDevice,
  plan: Pick<WritePlan, 'headerSector'>,
  sizeBytes: number,
): Promise<void> {
  if (device.isInPlace !== undefined && !(await device.isInPlace())) {
    throw changedMeanwhile('another file has the name of the image now, or none', {});
  }
  const size = await device.sizeBytes();
  if (size !== sizeBytes) {
    const found = { actual: `${size} bytes`, expected: `${sizeBytes} bytes` };
    throw changedMeanwhile('the file was made longer or shorter by someone else meanwhile', found);
  }
  if (await hasItsHeader(device, plan)) return;
  const where = { structure: 'header', at: 0 };
  throw changedMeanwhile('the image was changed by someone else meanwhile', where);
}

/** Whether the first sector on the device is the one that the plan was made from. */
export async function hasItsHeader(
  device: BlockDevice,
  { headerSector }: Pick<WritePlan, 'headerSector'>,
): Promise<boolean> {
  const now = new Uint8Array(headerSector.length);
  await device.readBatch([{ at: 0, into: now }]);
  return sameBytes(now, headerSector);
}

function changedMeanwhile(message: string, details: ErrorDetails): QsnapError {
  return new QsnapError('IMAGE_CHANGED', message, {
    ...details,
    hint: 'nobody else may use an image while it is edited; look at it again and start over',
  });
}
