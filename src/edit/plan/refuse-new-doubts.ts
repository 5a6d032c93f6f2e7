import { counted } from '../../base/text.js';
import { damaged } from '../../image/damage.js';
import type { OpenImage } from '../../image/image.js';
import { checkLate } from '../../read/check/late-check.js';
import { previewPlan } from '../tx/preview.js';
import type { PlacedEdit } from './plan-of.js';
import { isLoss } from './refuse-losses.js';

/**
 * Refuses an edit that would empty a table of an image with leaks: afterwards nobody could tell them from what that table
 * had referred to, and every later edit would be refused.
 *
 * @throws QsnapError IMAGE_DAMAGED.
 */
export async function refuseNewDoubts(image: OpenImage, plan: PlacedEdit): Promise<void> {
  const { leakedClusters } = plan.facts;
  if (leakedClusters === 0) return;
  const report = await checkLate(previewPlan(image.source, plan), { owners: false });
  if (!report.findings.some(isLoss)) return;
  throw damaged({
    structure: 'refcount table',
    at: image.header.refcountTable.at,
    message:
      `it has ${counted(leakedClusters, 'leaked cluster')}, which would look as what a table had ` +
      'referred to that this edit empties',
    hintCode: 'free-leaks-first',
  });
}
