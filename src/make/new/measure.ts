import { roundUp } from '../../base/units.js';
import { geometryOf, type Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { NewPreallocation } from './create-options.js';
import { invalidOption } from './new-image.js';
import { refcountClusters } from './qemu-placement.js';

/** What a new qcow2 image is to be like, as far as its size depends on it. */
export interface MeasureOptions {
  readonly clusterBytes: number;
  readonly refcountBits: number;
  readonly extendedL2: boolean;
  readonly preallocation: NewPreallocation;
  /** Length of what an encrypted image keeps of its keys, such as a LUKS header. Default: 0. */
  readonly keysBytes?: number;
}

/** How long files are, in bytes. */
export interface Measure {
  /** The least that is needed for the data that there is. */
  readonly required: number;
  /** What it comes to once every cluster is written. */
  readonly fullyAllocated: number;
}

/** A stretch of guest data, as `extents` of a guest disk gives it. */
export interface MeasuredExtent {
  readonly start: number;
  readonly length: number;
  readonly kind: string;
}

/**
 * How long the file of a new qcow2 image becomes, as `qemu-img measure` of QEMU 7.2 reckons.
 *
 * ```ts
 * const { required, fullyAllocated } = measureQcow2(2 ** 30, 0, {
 *   clusterBytes: 65536,
 *   refcountBits: 16,
 *   extendedL2: false,
 *   preallocation: 'off',
 * });
 * ```
 *
 * @param dataBytes of the guest's clusters that hold data, counted by `measuredDataBytes`; 0 for
 *   an empty image.
 * @throws QsnapError NEW_IMAGE_INVALID when no image can hold such a disk.
 * QEMU: block/qcow2.c, qcow2_measure.
 */
export function measureQcow2(
  diskSizeBytes: number,
  dataBytes: number,
  options: MeasureOptions,
): Measure {
  const { clusterBytes, refcountBits, extendedL2, preallocation, keysBytes = 0 } = options;
  const geometry = geometryOf(Math.log2(clusterBytes), Math.log2(refcountBits), extendedL2);
  const wholeBytes = roundUp(diskSizeBytes, clusterBytes);
  const l2Tables = Math.ceil(wholeBytes / geometry.l2CoverageBytes);
  if (l2Tables * 8 > LIMITS.l1BytesMax.value || wholeBytes > Number.MAX_SAFE_INTEGER) {
    const message = `a disk of ${diskSizeBytes} bytes is too large for clusters of ${clusterBytes} bytes`;
    throw invalidOption('disk size', message, {
      hint: 'larger clusters make larger disks possible',
    });
  }
  const fullyAllocated =
    wholeBytes + metadataBytes(l2Tables, wholeBytes, geometry) + roundUp(keysBytes, clusterBytes);
  const isFull = preallocation === 'falloc' || preallocation === 'full';
  const used = isFull ? wholeBytes : dataBytes;
  return { required: fullyAllocated - wholeBytes + used, fullyAllocated };
}

/** Header, L2 tables, L1 table, and the refcounts of them all and of the guest's clusters. */
function metadataBytes(l2Tables: number, guestBytes: number, geometry: Geometry): number {
  const { clusterBytes } = geometry;
  const l1Clusters = Math.ceil((l2Tables * 8) / clusterBytes);
  const tables = 1 + l2Tables + l1Clusters;
  const { table, blocks } = refcountClusters(tables + guestBytes / clusterBytes, geometry);
  return (tables + table + blocks) * clusterBytes;
}

/** Bytes of the clusters of a new image that these stretches of data touch. */
export async function measuredDataBytes(
  extents: AsyncIterable<readonly MeasuredExtent[]>,
  clusterBytes: number,
): Promise<number> {
  let bytes = 0;
  /** Up to here clusters are counted. */
  let countedTo = 0;
  for await (const batch of extents) {
    for (const { start, length, kind } of batch) {
      if (kind !== 'data' && kind !== 'compressed') continue;
      const from = Math.max(countedTo, Math.floor(start / clusterBytes) * clusterBytes);
      const to = roundUp(start + length, clusterBytes);
      if (to <= from) continue;
      bytes += to - from;
      countedTo = to;
    }
  }
  return bytes;
}

/** A persistent bitmap, as far as its size depends on it. */
export interface MeasuredBitmap {
  readonly nameBytes: Uint8Array;
  /** Guest bytes that one bit stands for. */
  readonly granularityBytes: number;
}

const BITMAP_ENTRY_BYTES = 24;

/** How many bytes bitmaps take in a new image, all of their bits allocated. */
export function measureBitmaps(
  bitmaps: readonly MeasuredBitmap[],
  diskSizeBytes: number,
  clusterBytes: number,
): number {
  let bytes = 0;
  let directoryBytes = 0;
  for (const { nameBytes, granularityBytes } of bitmaps) {
    const bits = Math.ceil(diskSizeBytes / granularityBytes);
    const clusters = Math.ceil(Math.ceil(bits / 8) / clusterBytes);
    bytes += clusters * clusterBytes + roundUp(clusters * 8, clusterBytes);
    directoryBytes += roundUp(BITMAP_ENTRY_BYTES + nameBytes.length, 8);
  }
  return bytes + roundUp(directoryBytes, clusterBytes);
}
