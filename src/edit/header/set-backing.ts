import { openImage } from '../../image/open.js';
import type { BlockDevice } from '../../io/device.js';
import { executePlan, type ExecuteOptions } from '../tx/execute.js';
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
  const completion = await planFeatureNames(await openImage(device), plan.leftOut);
  if (completion !== undefined) await executePlan(completion, { signal });
}
