import type { OpenImage } from '../../image/image.js';
import type { BlockDevice } from '../../io/device.js';
import { copyImage, publish } from './copy-image.js';
import type { DehydrateOptions, DehydrateReport } from './dehydrate-options.js';
import { endPacked } from './end-packed.js';
import { KEPT_NAMES, replacedNames } from './names.js';

/**
 * Writes a copy of an image with all of its metadata where it lies, and holes where guest data, VM states, keys and all
 * that nothing refers to lie. A check, what disks cost, which snapshot grew from which, and what differs by the tables
 * are the same of both. Names are replaced by others of the same length; dates, sizes and numbers stay.
 *
 * Of a damaged image, clusters that are metadata and something else at once are left out. An image of `openForReading` is
 * copied as far as it can be read.
 *
 * ```ts
 * const copy = await createNewFile('report.qcow2');
 * const { metadataBytes, leftOut } = await dehydrateImage(await openForReading(device), copy);
 * await copy.close();
 * ```
 *
 * Memory: at most 6 bytes for each cluster of the file, and some 100 for each compressed cluster.
 *
 * @param device an empty file.
 * @throws QsnapError OUTPUT_EXISTS, OUTPUT_IS_INPUT, IMAGE_CHANGED, LIMIT_EXCEEDED, READ_FAILED, WRITE_FAILED, NO_SPACE,
 *   ABORTED.
 */
export async function dehydrateImage(
  image: OpenImage,
  device: BlockDevice,
  { keepNames = false, compressor, signal, onProgress }: DehydrateOptions = {},
): Promise<DehydrateReport> {
  const names = keepNames ? KEPT_NAMES : replacedNames();
  const what = 'a copy without guest data';
  const copy = await copyImage(image, device, { names, what, signal, onProgress });
  if (compressor !== undefined) await endPacked(copy.parts, device, compressor);
  await publish(device, copy);
  return copy.report;
}
