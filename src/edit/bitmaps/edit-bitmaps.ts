import { openImage, type OpenOptions } from '../../image/open.js';
import type { BlockDevice } from '../../io/device.js';
import { planFeatureNames } from '../header/plan-backing.js';
import { editWithinRoom } from '../plan/within-room.js';
import { executePlan, type ExecuteOptions } from '../tx/execute.js';
import type { BitmapAction } from './bitmap-action.js';
import { planBitmaps } from './plan-bitmaps.js';

/**
 * Changes persistent bitmaps: `planBitmaps`, carried out, and then what it left out put back. A cut leaves the old bitmaps
 * or the new ones; at worst the image lacks its feature names, which nothing depends on.
 *
 * ```ts
 * await editBitmaps(device, [{ kind: 'remove', name: 'since-monday' }]);
 * ```
 *
 * @throws QsnapError what `planBitmaps` and `executePlan` throw.
 */
export async function editBitmaps(
  device: BlockDevice,
  actions: readonly BitmapAction[],
  { signal }: Pick<ExecuteOptions, 'signal'> = {},
): Promise<void> {
  const make = async (how: OpenOptions) => ({
    plan: await planBitmaps(await openImage(device, how), actions, { signal }),
  });
  const { leftOut } = await editWithinRoom(device, make, async ({ plan }) => {
    await executePlan(plan, { signal });
    return plan;
  });
  if (leftOut === undefined) return;
  const completion = await planFeatureNames(await openImage(device), leftOut);
  if (completion !== undefined) await executePlan(completion, { signal });
}
