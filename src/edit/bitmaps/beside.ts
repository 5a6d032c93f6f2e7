import type { OpenImage } from '../../image/image.js';
import type { BitmapsExtension } from '../../qcow2/extensions.js';
import { AUTOCLEAR } from '../../qcow2/spec.js';
import { readFirstCluster, type HeaderPlan } from '../header/header-plan.js';
import type { EditRequest } from '../plan/survey.js';
import { firstSectorWith } from './first-sector.js';
import type { NextBitmap } from './next-bitmap.js';
import { placeBitmaps } from './place-bitmaps.js';

/** What makes other bitmaps part of an edit. */
export interface BitmapsBeside extends Pick<HeaderPlan, 'leftOut'> {
  readonly placeMore: NonNullable<EditRequest['placeMore']>;
}

/**
 * Other bitmaps by the switch of any edit, which then is a write of the whole first sector.
 *
 * @throws QsnapError LIMIT_EXCEEDED where the header has no room.
 */
export async function bitmapsBeside(
  image: OpenImage,
  bitmaps: readonly NextBitmap[],
): Promise<BitmapsBeside> {
  const before = await readFirstCluster(image);
  // Whether there is room does not depend on where the directory will lie.
  const { leftOut } = firstSectorWith(image, before, bitmaps.length === 0 ? undefined : SOMEWHERE);
  const placeMore: BitmapsBeside['placeMore'] = async (ledger) => {
    const placed = await placeBitmaps(image, bitmaps, ledger);
    const sector = firstSectorWith(image, before, placed);
    for (const write of sector.behind) ledger.add(write);
    return { bytes: sector.bytes, autoclear: (kept) => withBitmapsBit(kept, placed) };
  };
  return { placeMore, leftOut };
}

const SOMEWHERE: BitmapsExtension = { bitmapCount: 1, directoryAt: 1, directoryBytes: 1 };

/** Set, it says that the extension can be relied on. Spec: Header, autoclear_features. */
function withBitmapsBit(kept: bigint, placed: BitmapsExtension | undefined): bigint {
  const bit = 1n << BigInt(AUTOCLEAR.bitmaps);
  return placed === undefined ? kept & ~bit : kept | bit;
}
