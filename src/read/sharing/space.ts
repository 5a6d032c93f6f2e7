import { popcount } from '../../refcount/bits.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { OpenImage } from '../../image/image.js';
import type { Pointers } from '../../refs/pointers.js';
import { readPlausibleBlocks, visitUsedClusters } from '../../refs/refcount-table.js';
import { metadataRegions, regionClusters } from '../../refs/regions.js';
import { tableFormat } from '../../image/table-format.js';

/**
 * What an image file is made of, in bytes of whole clusters. The first five add up to the length of the file, of which
 * the last cluster counts whole, even where the file ends within it.
 */
export interface Space {
  /** L1 tables, L2 tables, the snapshot table, refcounts, the header, bitmaps, the key of an encrypted image. */
  readonly metadataBytes: number;
  /** Guest data and VM state. */
  readonly dataBytes: number;
  /** In use by the refcounts, and nothing refers to it. */
  readonly leakedBytes: number;
  /** Free, before the last cluster that is in use. */
  readonly freeBytes: number;
  /** Free, behind the last cluster that is in use. */
  readonly tailBytes: number;
  readonly fileBytes: number;
  /** Referred to, and free by the refcounts: the image is damaged. */
  readonly uncountedBytes: number;
}

const GROUP = 32;

/**
 * Compares what is referred to with what the refcounts say is in use.
 *
 * @param data clusters of guest data and VM state.
 */
export async function countSpace(
  image: OpenImage,
  pointers: Pointers,
  data: ClusterSet,
  bitmapClusters: Iterable<number>,
): Promise<Space> {
  const { geometry, fileSizeBytes } = image;
  const { clusterBytes } = geometry;
  const { fileClusters } = tableFormat(image);
  // An entry that can't be right leads nowhere: `check` tells of it.
  const blocks = await readPlausibleBlocks(image);
  const metadata = new ClusterSet(fileClusters);
  const addMetadata = (first: number, end: number): void => {
    metadata.addRange(first, Math.min(end, fileClusters));
  };
  for (const region of metadataRegions(image, blocks)) {
    addMetadata(...regionClusters(region, clusterBytes));
  }
  for (const at of pointers.offsets) {
    const cluster = Math.floor(at / clusterBytes);
    addMetadata(cluster, cluster + 1);
  }
  for (const cluster of bitmapClusters) addMetadata(cluster, cluster + 1);
  const clusters = { metadata: 0, data: 0, leaked: 0, uncounted: 0 };
  let end = 0;
  await visitUsedClusters(image, blocks, fileClusters, (from, inside, counted) => {
    const isMetadata = metadata.wordAt(from / GROUP) & inside;
    const isData = data.wordAt(from / GROUP) & inside & ~isMetadata;
    const used = counted | isMetadata | isData;
    if (used === 0) return;
    end = from + GROUP - Math.clz32(used);
    clusters.metadata += popcount(isMetadata);
    clusters.data += popcount(isData);
    clusters.leaked += popcount(counted & ~(isMetadata | isData));
    clusters.uncounted += popcount((isMetadata | isData) & ~counted);
  });
  const used = clusters.metadata + clusters.data + clusters.leaked;
  return {
    metadataBytes: clusters.metadata * clusterBytes,
    dataBytes: clusters.data * clusterBytes,
    leakedBytes: clusters.leaked * clusterBytes,
    freeBytes: (end - used) * clusterBytes,
    tailBytes: Math.max(0, fileSizeBytes - end * clusterBytes),
    fileBytes: fileSizeBytes,
    uncountedBytes: clusters.uncounted * clusterBytes,
  };
}
