import { tableFormat } from '../../image/table-format.js';
import type { OpenImage } from '../../image/image.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { scanOf } from '../../l1l2/scan.js';
import { decodeRefcounts } from '../../refcount/block.js';
import { readPlausibleBlocks } from '../../refs/refcount-table.js';
import { disksOf, walkL1Tables } from '../../refs/walk.js';
import { collectOwners } from '../check/owners.js';
import type { Owner } from '../check/finding-parts.js';

/** A host cluster, and all that refers to it. */
export interface LocatedCluster {
  readonly cluster: number;
  /** Its byte offset in the file. */
  readonly at: number;
  /** Whether any byte of it lies in the file. */
  readonly isInFile: boolean;
  /** The refcount as stored: 0 where no refcount block counts the cluster; undefined: the file ends before it. */
  readonly refcount: number | undefined;
  /** Byte offset of the refcount in the file; undefined where no block counts the cluster. */
  readonly refcountAt: number | undefined;
  /** How often it is referred to. */
  readonly references: number;
  /** The first `LOCATED_OWNERS_MAX` of what refers to it. */
  readonly owners: readonly Owner[];
  readonly ownersLeftOut: number;
}

/** Owners that are listed of one cluster. */
export const LOCATED_OWNERS_MAX = 1000;

/**
 * Tells who has host clusters: metadata, or guest data of which disks and where on them. One walk over all tables
 * serves all clusters that are asked for. Entries that can't be right refer to what their offset says.
 *
 * ```ts
 * const [found] = await locateClusters(await openForReading(device), [5]);
 * for (const { kind, guestOffset } of found?.owners ?? []) console.log(kind, guestOffset);
 * ```
 *
 * @param clusters numbers of host clusters: offsets divided by the size of a cluster.
 * @returns in the order asked for.
 * @throws QsnapError READ_FAILED, ABORTED, LIMIT_EXCEEDED for a file of too many clusters.
 */
export async function locateClusters(
  opened: OpenImage,
  clusters: readonly number[],
  { signal }: Stoppable = {},
): Promise<readonly LocatedCluster[]> {
  const image = stoppableImage(opened, signal, 'the search for owners');
  const format = tableFormat(image);
  const blocks = await readPlausibleBlocks(image);
  const tally = await walkL1Tables(image, disksOf(image));
  const walked = { tally, scan: scanOf(format, true) };
  const ownersOf = await collectOwners(image, blocks, walked, clusters, LOCATED_OWNERS_MAX);
  const located: LocatedCluster[] = [];
  for (const cluster of clusters) {
    const { owners, leftOut } = ownersOf(cluster);
    located.push({
      cluster,
      at: cluster * image.geometry.clusterBytes,
      isInFile: cluster < format.fileClusters,
      ...(await storedRefcount(image, blocks, cluster)),
      references: owners.length + leftOut,
      owners,
      ownersLeftOut: leftOut,
    });
  }
  return located;
}

async function storedRefcount(
  { source, geometry, fileSizeBytes }: OpenImage,
  blocks: Float64Array,
  cluster: number,
): Promise<Pick<LocatedCluster, 'refcount' | 'refcountAt'>> {
  const { refcountBlockEntries, refcountBits } = geometry;
  const block = blocks[Math.floor(cluster / refcountBlockEntries)] ?? 0;
  if (block === 0) return { refcount: 0, refcountAt: undefined };
  const entry = cluster % refcountBlockEntries;
  const perByte = Math.max(1, 8 / refcountBits);
  const refcountAt = block + Math.floor((entry * refcountBits) / 8);
  const bytes = new Uint8Array(Math.max(1, refcountBits / 8));
  if (refcountAt + bytes.length > fileSizeBytes) return { refcount: undefined, refcountAt };
  await source.readBatch([{ at: refcountAt, into: bytes }]);
  const counts = new Uint32Array((entry % perByte) + 1);
  decodeRefcounts(bytes, refcountBits, counts);
  return { refcount: counts.at(-1)!, refcountAt };
}
