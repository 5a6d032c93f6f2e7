import { isQsnapError, type QsnapError } from '../../errors.js';
import { formatInFile, tableFormat } from '../../image/table-format.js';
import { openForReading, type ReadableImage } from '../../image/open-for-reading.js';
import type { BlockSource } from '../../io/device.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { scanOf, type Scan } from '../../l1l2/scan.js';
import { geometryOf } from '../../qcow2/geometry.js';
import { REFCOUNT_ORDER_V2 } from '../../qcow2/spec.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { claimedClusters } from '../../refs/claimed-clusters.js';
import type { Pointers } from '../../refs/pointers.js';
import {
  countUsedFrom,
  readPlausibleBlocks,
  visitUsedClusters,
} from '../../refs/refcount-table.js';
import { disksOf, walkL1Tables } from '../../refs/walk.js';
import { guessGeometry } from './guess-geometry.js';

/** What a scan knows of an image before it looks for remains: what is in use now. */
export interface Ground {
  readonly source: BlockSource;
  readonly fileSizeBytes: number;
  readonly format: TableFormat;
  readonly scan: Scan;
  /** Undefined where no header can be read: then nothing counts as in use. */
  readonly image: ReadableImage | undefined;
  /** Clusters that the image refers to as it is now. */
  readonly claimed: ClusterSet;
  /** Clusters that the refcounts call used. */
  readonly counted: ClusterSet;
  /** The cluster behind the last one that is referred to or counted. */
  readonly endInUse: number;
  /** Clusters past the end of the file that the refcounts call used: a file that is whole has none. */
  readonly pastEndClusters: number;
  /** Host offsets of the refcount blocks by index; 0 where there is none. */
  readonly blocks: Float64Array;
  /** Host offsets of the L2 tables that the image refers to, ascending. */
  readonly pointers: Pointers | undefined;
}

/** What is told of the geometry where the header is lost. */
export interface GroundOptions {
  readonly clusterBytes?: number | undefined;
}

/**
 * Finds out what an image refers to as it is now, as far as it can be read.
 *
 * @throws QsnapError NOT_QCOW2 and the other codes of a header that can't be read, where the tables do not tell the size
 *   of a cluster either; READ_FAILED, LIMIT_EXCEEDED.
 */
export async function surveyGround(
  source: BlockSource,
  { clusterBytes }: GroundOptions,
): Promise<Ground> {
  try {
    const image = await openForReading(source);
    if (clusterBytes === undefined || clusterBytes === image.geometry.clusterBytes) {
      return await groundOf(image);
    }
    return await groundWithout(source, clusterBytes, undefined);
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return groundWithout(source, clusterBytes, error);
  }
}

async function groundOf(image: ReadableImage): Promise<Ground> {
  const format = tableFormat(image);
  const { fileClusters } = format;
  const blocks = await readPlausibleBlocks(image);
  const pointers = await walkL1Tables(image, disksOf(image));
  const claimed = await claimedClusters(image, pointers, blocks);
  const counted = new ClusterSet(fileClusters);
  await visitUsedClusters(image, blocks, fileClusters, (from, _, used) => {
    counted.addWord(from / 32, used);
  });
  const pastEndClusters = await countUsedFrom(image, blocks, fileClusters);
  const endInUse = Math.max(endOf(claimed), endOf(counted));
  const { source, fileSizeBytes } = image;
  const scan = scanOf(format);
  return {
    ...{ source, fileSizeBytes, format, scan, image },
    ...{ claimed, counted, endInUse, pastEndClusters, blocks, pointers },
  };
}

/** Of an image without a header nothing is known to be in use. */
async function groundWithout(
  source: BlockSource,
  clusterBytes: number | undefined,
  error: QsnapError | undefined,
): Promise<Ground> {
  const fileSizeBytes = await source.sizeBytes();
  const guess = await guessGeometry(source, fileSizeBytes);
  const clusterBits = clusterBytes === undefined ? guess?.clusterBits : Math.log2(clusterBytes);
  if (clusterBits === undefined) throw error!;
  const geometry = geometryOf(clusterBits, REFCOUNT_ORDER_V2, guess?.extendedL2 ?? false);
  const format = formatInFile(geometry, 3, fileSizeBytes);
  return {
    ...{ source, fileSizeBytes, format, image: undefined, pointers: undefined },
    scan: scanOf(format),
    claimed: new ClusterSet(format.fileClusters),
    counted: new ClusterSet(format.fileClusters),
    endInUse: 0,
    pastEndClusters: 0,
    blocks: new Float64Array(0),
  };
}

function endOf(set: ClusterSet): number {
  for (let word = Math.ceil(set.clusters / 32) - 1; word >= 0; word--) {
    const bits = set.wordAt(word);
    if (bits !== 0) return word * 32 + 32 - Math.clz32(bits);
  }
  return 0;
}

/** Where an unreferenced cluster lies. */
export type Whereabouts = 'free' | 'leaked' | 'tail';

/** Where a cluster lies that nothing refers to. */
export function whereaboutsOf(cluster: number, { counted, endInUse }: Ground): Whereabouts {
  if (cluster >= endInUse) return 'tail';
  return counted.has(cluster) ? 'leaked' : 'free';
}
