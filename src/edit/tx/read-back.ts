import { hasSameBytes } from '../../base/bytes.js';
import { QsnapError } from '../../errors.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import type { ShadowWrite, WritePlan } from './plan.js';
import { previewPlan } from './preview.js';
import { shadowBatches } from './shadow-batches.js';

/**
 * Reads what was written and compares it with what was to be. It asks the device, which may answer from a
 * cache of the system: what lies on the medium alone can't be told.
 *
 * @throws QsnapError VERIFY_FAILED with the place of the first bytes that differ.
 */
export async function readBackWrites(
  device: BlockDevice,
  writes: readonly ShadowWrite[],
): Promise<void> {
  for (const write of writes) {
    for await (const batch of shadowBatches(device, write)) {
      const reads = batch.map(({ at, bytes }) => ({ at, into: new Uint8Array(bytes.length) }));
      await device.readBatch(reads);
      for (const [i, { at, bytes }] of batch.entries()) {
        if (!hasSameBytes(reads[i]!.into, bytes)) throw notAsWritten(write.what, at);
      }
    }
  }
}

/** Reads what the switch wrote. @throws QsnapError VERIFY_FAILED. */
export async function readBackSwitch(device: BlockDevice, plan: WritePlan): Promise<void> {
  const { at, bytes } = plan.switch;
  const into = new Uint8Array(bytes.length);
  await device.readBatch([{ at, into }]);
  if (!hasSameBytes(into, bytes)) throw notAsWritten('header', at);
}

/** The image as the switch will make it: all else is read from the device, where stage 1 put it. */
export async function beforeSwitch(device: BlockDevice, plan: WritePlan): Promise<BlockSource> {
  const fileSizeBytes = await device.sizeBytes();
  return previewPlan(device, { ...plan, fileSizeBytes, shadow: [] });
}

/** What is read is not what was written. */
export function notAsWritten(structure: string, at: number): QsnapError {
  return new QsnapError('VERIFY_FAILED', `the ${structure} does not read back as it was written`, {
    structure,
    at,
    hint: 'the medium or what lies between can not be trusted: copy the image elsewhere first',
  });
}
