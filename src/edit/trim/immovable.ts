import { offsetOf } from '../../l1l2/entry.js';
import type { Image } from '../../image/image.js';
import { visitBitmapEntries } from '../../refs/bitmap-tables.js';
import { regionClusters, type RegionOwner } from '../../refs/regions.js';
import type { SurveyedEdit } from '../plan/survey.js';

/** Whether guest data may lie elsewhere. LUKS numbers the sectors by their place in the file. */
export function canMove({ header }: Pick<Image, 'header'>): boolean {
  return header.encryption !== 'luks';
}

/** What the one write that switches to a new state can't lead elsewhere. */
const IMMOVABLE: ReadonlySet<RegionOwner> = new Set<RegionOwner>([
  'main-header',
  'luks-header',
  'bitmap-directory',
  'bitmap-table',
]);

/** The cluster behind the last one that stays where it is: header, key of an encrypted image, bitmaps. */
export async function immovableEnd({ image, regions }: SurveyedEdit): Promise<number> {
  const { clusterBytes } = image.geometry;
  let end = 1;
  for (const region of regions) {
    if (IMMOVABLE.has(region.owner)) end = Math.max(end, regionClusters(region, clusterBytes)[1]);
  }
  await visitBitmapEntries(image, image.bitmaps, (high, low) => {
    end = Math.max(end, Math.floor(offsetOf(high, low) / clusterBytes) + 1);
  });
  return end;
}
