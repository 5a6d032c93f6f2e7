import { refuseEdited } from '../../image/refuse-edited.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockDevice } from '../../io/device.js';
import { refuseOneDevice, refuseUsedFile } from '../../io/new-device.js';
import { stoppableImage } from '../../io/stoppable.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { MetadataCopy } from './copy-metadata.js';
import type { DehydrateReport, LeftOutClusters } from './dehydrate-options.js';
import { findParts, type ImageParts } from './find-parts.js';
import { TABLE_KINDS } from './looks-wrong.js';
import type { Names } from './names.js';

/** A copy whose first cluster is not yet written. */
export interface UnpublishedCopy {
  readonly parts: ImageParts;
  readonly head: Uint8Array;
  readonly report: DehydrateReport;
}

/** How a copy is made. */
export interface CopyImageOptions {
  readonly names: Names;
  /** What is stopped by the signal, for the message. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Makes an empty file as long as the image, and copies all metadata but the first cluster to where it lay.
 *
 * @throws QsnapError OUTPUT_EXISTS, OUTPUT_IS_INPUT, IMAGE_CHANGED, LIMIT_EXCEEDED, READ_FAILED, WRITE_FAILED, NO_SPACE,
 *   ABORTED.
 */
export async function copyImage(
  opened: OpenImage,
  device: BlockDevice,
  { names, what, signal, onProgress }: CopyImageOptions,
): Promise<UnpublishedCopy> {
  refuseEdited(opened);
  await refuseOneDevice(opened.source, device);
  await refuseUsedFile(device, what);
  const image = stoppableImage(opened, signal, what);
  const parts = await findParts(image);
  const copy = new MetadataCopy(parts, device, names, progressOf(parts, onProgress));
  await device.truncate(image.fileSizeBytes);
  const head = await copy.run();
  const { bytes, leftOut } = copy.copied();
  const { clusterBytes } = image.geometry;
  const report: DehydrateReport = {
    fileSizeBytes: image.fileSizeBytes,
    metadataBytes: bytes,
    dataBytes: countOf(parts.data) * clusterBytes,
    keyBytes: countOf(parts.keys) * clusterBytes,
    replacedNames: names.replaced(),
    leftOut: [...leftOut].map(([reason, set]): LeftOutClusters => {
      return { reason, clusters: countOf(set), firstAt: set.next(0) * clusterBytes };
    }),
    misalignedTables: parts.misalignedTables,
    unread: image.unread ?? [],
  };
  return { parts, head, report };
}

/** The first cluster comes when all else is on the medium: without it the file is no image. */
export async function publish(device: BlockDevice, { head }: UnpublishedCopy): Promise<void> {
  await device.flush();
  await device.writeBatch([{ at: 0, bytes: head }]);
  await device.flush();
}

/** Adds up the bytes of tables that were copied or left out. */
function progressOf(
  { tables }: ImageParts,
  onProgress: CopyImageOptions['onProgress'],
): (bytes: number) => void {
  if (onProgress === undefined) return () => undefined;
  let [doneBytes, totalBytes] = [0, 0];
  for (const kind of TABLE_KINDS) {
    for (const [, bytes] of tables[kind].pieces()) totalBytes += bytes;
  }
  return (bytes) => {
    doneBytes += bytes;
    onProgress(doneBytes, totalBytes);
  };
}

function countOf(set: ClusterSet): number {
  let count = 0;
  for (let at = set.next(0); at < set.clusters; at = set.next(set.nextMissing(at))) {
    count += set.nextMissing(at) - at;
  }
  return count;
}
