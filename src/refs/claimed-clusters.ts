import { tableFormat } from '../image/table-format.js';
import type { OpenImage } from '../image/image.js';
import { offsetOf } from '../l1l2/entry.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import { visitOwned } from './owners.js';
import type { Pointers } from './pointers.js';
import { metadataRegions, regionClusters } from './regions.js';

/**
 * All host clusters that the image refers to as it is now: metadata, guest data, VM state, bitmaps. Entries that can't
 * be right refer to nothing.
 *
 * @param pointers of all disks to L2 tables.
 * @param blocks host offsets of the refcount blocks; 0 where there is none.
 * @throws QsnapError READ_FAILED, LIMIT_EXCEEDED.
 */
export async function claimedClusters(
  image: OpenImage,
  pointers: Pointers,
  blocks: Float64Array,
): Promise<ClusterSet> {
  const { fileClusters } = tableFormat(image);
  const { clusterBytes } = image.geometry;
  const claimed = new ClusterSet(fileClusters);
  const add = (first: number, length: number): void => {
    claimed.addRange(first, Math.min(first + length, fileClusters));
  };
  for (const region of metadataRegions(image, blocks)) {
    const [first, end] = regionClusters(region, clusterBytes);
    add(first, end - first);
  }
  for (const at of pointers.offsets) if (at % clusterBytes === 0) add(at / clusterBytes, 1);
  await visitOwned(image, pointers, add, {
    bitmapEntry: (high, low) => {
      const at = offsetOf(high, low);
      if (at !== 0 && at % clusterBytes === 0) add(at / clusterBytes, 1);
    },
  });
  return claimed;
}
