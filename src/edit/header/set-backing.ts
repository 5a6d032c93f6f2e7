import { isQsnapError } from '../../errors.js';
import { openImage } from '../../image/open.js';
import type { BlockDevice } from '../../io/device.js';
import { executePlan, type ExecuteOptions } from '../tx/execute.js';
import type { HeaderPlan } from './header-plan.js';
import { planBacking, planFeatureNames, type NewBacking } from './plan-backing.js';

/**
 * Records another backing file, or none: `planBacking`, carried out, and then what it left out put back. A cut leaves the
 * old backing file or the new one; at worst the image lacks its feature names, which nothing depends on.
 *
 * ```ts
 * await setBacking(device, { name: 'base.qcow2', format: 'qcow2' });
 * ```
 *
 * @param backing undefined: none.
 * @throws QsnapError what `planBacking` and `executePlan` throw.
 */
export async function setBacking(
  device: BlockDevice,
  backing: NewBacking | undefined,
  { signal }: Pick<ExecuteOptions, 'signal'> = {},
): Promise<void> {
  const plan = await planBacking(await openImage(device), backing);
  await executePlan(plan, { signal });
  await completeHeader(device, plan);
}

/**
 * Puts back what a plan of another first cluster left out, and clears what was left behind the header. Nothing to do after
 * any other plan.
 *
 * @throws QsnapError what `executePlan` throws: the image is in its new state all the same.
 */
export async function completeHeader(
  device: BlockDevice,
  plan: Partial<HeaderPlan>,
): Promise<void> {
  if (!('leftOut' in plan)) return;
  try {
    const completion = await planFeatureNames(await openImage(device), plan.leftOut);
    if (completion !== undefined) await executePlan(completion);
  } catch (error) {
    throw isQsnapError(error) ? error.with({ imageState: 'new' }) : error;
  }
}
