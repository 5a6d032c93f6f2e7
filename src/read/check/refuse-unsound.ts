import { QsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import { checkImage } from './check-image.js';
import type { CheckReport, CheckTotals } from './report.js';

/** Flaws that an image may have. */
export type AllowedFlaws = Pick<CheckTotals, 'corruptions' | 'checkErrors' | 'leaks'>;

/**
 * Checks an image that an edit is about to leave: what `executePlan` takes as `verify`.
 *
 * @param allowed what was there before and stays, or what a repair said that it leaves.
 * @throws QsnapError VERIFY_FAILED with the first finding beyond that.
 */
export async function refuseUnsound(image: BlockSource, allowed: AllowedFlaws): Promise<void> {
  const { totals, findings } = await checkImage(image, { owners: false });
  const isWorse =
    totals.corruptions > allowed.corruptions ||
    totals.checkErrors > allowed.checkErrors ||
    totals.leaks > allowed.leaks;
  if (!isWorse) return;
  const first = firstOf(findings);
  throw new QsnapError(
    'VERIFY_FAILED',
    `a check of the new state finds an error: ${first?.message ?? 'more flaws than there may be'}`,
    {
      ...(first !== undefined && { structure: first.structure, at: first.at }),
      hint: 'nothing points at the new state yet; please report this with the image',
    },
  );
}

function firstOf(findings: CheckReport['findings']): CheckReport['findings'][number] | undefined {
  const order = ['corruption', 'check-error', 'leak'];
  return order.map((wanted) => findings.find(({ severity }) => severity === wanted)).find(Boolean);
}
