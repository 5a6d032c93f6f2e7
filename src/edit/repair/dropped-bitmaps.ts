import { clustersToHold } from '../../base/units.js';
import { visitBitmapEntries } from '../../refs/bitmap-tables.js';
import type { OpenImage } from '../../image/image.js';
import { metadataRegions } from '../../refs/regions.js';
import { offsetOf } from '../../l1l2/entry.js';

/** Bitmaps that a repair gives up. */
export interface DroppedBitmaps {
  /** None where the directory can't be read. */
  readonly names: readonly string[];
  /** Host clusters that they name, tables and the directory included: not all need be in the file. */
  readonly clusters: number;
}

/** All bitmaps of an image, as far as they can be read. */
export async function droppedBitmaps(image: OpenImage): Promise<DroppedBitmaps> {
  const { clusterBytes } = image.geometry;
  let clusters = 0;
  for (const { owner, bytes } of metadataRegions(image, new Float64Array(0))) {
    if (owner.startsWith('bitmap')) clusters += clustersToHold(bytes, clusterBytes);
  }
  await visitBitmapEntries(image, image.bitmaps, (high, low) => {
    if (offsetOf(high, low) !== 0) clusters += 1;
  });
  return { names: image.bitmaps.map(({ name }) => name), clusters };
}
