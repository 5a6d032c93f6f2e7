import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import type { BitmapsExtension } from '../../qcow2/extensions.js';
import { AUTOCLEAR } from '../../qcow2/spec.js';
import { readFirstCluster, type HeaderPlan } from '../header/header-plan.js';
import { planEdit } from '../plan/plan-edit.js';
import type { EditRequest } from '../plan/survey.js';
import type { EditPlan } from '../tx/plan.js';
import { firstSectorWith } from './first-sector.js';
import type { NextBitmap } from './next-bitmap.js';
import { placeBitmaps } from './place-bitmaps.js';

/** A plan by which feature names may be left out of the header: `planFeatureNames` puts them back. */
export type PlanWithBitmaps<Source extends BlockSource = BlockSource> = EditPlan<Source> &
  Partial<Pick<HeaderPlan, 'leftOut'>>;

/**
 * Plans an edit after which the image has these bitmaps, by the same switch, which then is a write of the whole first
 * sector.
 *
 * @param bitmaps undefined: they stay as they are.
 * @throws QsnapError LIMIT_EXCEEDED where the header has no room, and what `planEdit` throws.
 */
export async function planWithBitmaps<Source extends BlockSource>(
  image: OpenImage<Source>,
  request: Omit<EditRequest, 'placeMore'>,
  bitmaps: readonly NextBitmap[] | undefined,
  planning: Stoppable,
): Promise<PlanWithBitmaps<Source>> {
  if (bitmaps === undefined) return planEdit(image, request, planning);
  const before = await readFirstCluster(image);
  // Whether there is room does not depend on where the directory will lie.
  const { leftOut } = firstSectorWith(image, before, bitmaps.length === 0 ? undefined : SOMEWHERE);
  const placeMore: EditRequest['placeMore'] = async (ledger) => {
    const placed = await placeBitmaps(image, bitmaps, ledger);
    const sector = firstSectorWith(image, before, placed);
    for (const write of sector.behind) ledger.add(write);
    return { bytes: sector.bytes, autoclear: (kept) => withBitmapsBit(kept, placed) };
  };
  return { ...(await planEdit(image, { ...request, placeMore }, planning)), leftOut };
}

const SOMEWHERE: BitmapsExtension = { bitmapCount: 1, directoryAt: 1, directoryBytes: 1 };

/** Set, it says that the extension can be relied on. Spec: Header, autoclear_features. */
function withBitmapsBit(kept: bigint, placed: BitmapsExtension | undefined): bigint {
  const bit = 1n << BigInt(AUTOCLEAR.bitmaps);
  return placed === undefined ? kept & ~bit : kept | bit;
}
