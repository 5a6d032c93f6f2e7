import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import { throwIfAborted } from '../../base/abort.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockDevice } from '../../io/device.js';
import { EarlyFlushes } from '../../io/early-flushes.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { copyImage, publish } from './copy-image.js';
import type { RehydrateOptions, RehydrateReport } from './dehydrate-options.js';
import { isDataAlone, type ImageParts } from './find-parts.js';
import { fillPacked } from './fill-packed.js';
import { KEPT_NAMES } from './names.js';
import { fillWithPlaces } from './pattern.js';

/** Bytes that are written at a time. */
const BATCH_BYTES = 4 * MiB;
const WHAT = 'a filled copy';

/**
 * Writes a copy of an image with the same metadata, in which every cluster of guest data and VM state tells its own place
 * in the file: each sector of 512 bytes is lines such as `qsnap host 0x00000000000a0000`. Compressed clusters unpack to
 * the place of their packed data.
 *
 * Encrypted clusters hold the same text, which is not what decrypts to it. A data file is neither opened nor made.
 *
 * ```ts
 * const copy = await createNewFile('filled.qcow2');
 * const { filledBytes } = await rehydrateImage(await openForReading(device), copy, {
 *   compressor: nodeCompressor(),
 * });
 * await copy.close();
 * ```
 *
 * @param device an empty file.
 * @throws QsnapError as `dehydrateImage`; UNSUPPORTED_COMPRESSION where the compressor can't pack as the image does.
 */
export async function rehydrateImage(
  image: OpenImage,
  device: BlockDevice,
  { compressor, signal, onProgress }: RehydrateOptions = {},
): Promise<RehydrateReport> {
  const copy = await copyImage(image, device, { names: KEPT_NAMES, what: WHAT, signal });
  const fillable = fillableOf(copy.parts);
  const filledBytes = await fill(copy.parts, fillable, device, { signal, onProgress });
  const { filled, leftOut } = await fillPacked(copy.parts, device, compressor);
  await publish(device, copy);
  const { replacedNames: _, ...report } = copy.report;
  return { ...report, filledBytes, packedClusters: filled, packedLeftOut: leftOut };
}

/** Clusters that hold nothing but guest data and VM states. */
function fillableOf(parts: ImageParts): ClusterSet {
  const { data } = parts;
  const fillable = new ClusterSet(data.clusters);
  for (let at = data.next(0); at < data.clusters; at = data.next(at + 1)) {
    if (isDataAlone(parts, at)) fillable.add(at);
  }
  return fillable;
}

async function fill(
  { image }: ImageParts,
  clusters: ClusterSet,
  device: BlockDevice,
  { signal, onProgress }: Pick<RehydrateOptions, 'signal' | 'onProgress'>,
): Promise<number> {
  const { fileSizeBytes, geometry } = image;
  const { clusterBytes } = geometry;
  const buffer = newIoBytes(Math.max(BATCH_BYTES, clusterBytes));
  const early = new EarlyFlushes(device);
  let filledBytes = 0;
  for (let first = clusters.next(0); first < clusters.clusters;) {
    const most = first + buffer.length / clusterBytes;
    const end = clusters.nextMissing(first, most);
    const at = first * clusterBytes;
    const bytes = buffer.subarray(0, Math.min(end * clusterBytes, fileSizeBytes) - at);
    fillWithPlaces(bytes, at);
    throwIfAborted(signal, WHAT);
    await device.writeBatch([{ at, bytes }]);
    early.afterWriting(bytes.length);
    filledBytes += bytes.length;
    onProgress?.(at + bytes.length, fileSizeBytes);
    first = clusters.next(end);
  }
  await early.done();
  return filledBytes;
}
