import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import type { BlockDevice } from '../../io/device.js';
import { refuseOneDevice, refuseUsedFile } from '../../io/new-device.js';
import { settled } from '../../io/settled.js';
import { stoppableImage } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { refuseUnsound } from '../../read/check/refuse-unsound.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import { unlock } from '../../read/guest/unlock.js';
import { referencesMaxOf } from '../new/host-clusters.js';
import { compareNew, digestOld } from './compare-both.js';
import type { CompactOptions, CompactReport } from './compact-options.js';
import { refuseTarget, targetOf, type CompactTarget } from './compact-target.js';
import { dedupe as dedupeClusters, type Deduped } from './dedupe.js';
import { readSourceTables, type SourceTables } from './source-tables.js';
import { surveyTables, type Survey } from './survey.js';
import { writeNew } from './write-new.js';

/**
 * Writes a new image with the active disk and the snapshots of another one, VM states included. What disks share they
 * share in the new image; tables and data lie in guest order, and nothing else is in the file. Ids, names, dates,
 * clocks and extra data stay as they are.
 *
 * Every disk and VM state of the new image is compared with the old one by hash, and the new image is checked. If that
 * fails, the file is no image.
 *
 * ```ts
 * const copy = await createNewFile('compact.qcow2');
 * const { newFileSizeBytes } = await compactImage(await openImage(device), copy, {
 *   newHasher: newSha256,
 *   decompressor: nodeDecompressor(),
 * });
 * await copy.close();
 * ```
 *
 * Memory: 20 bytes for each cluster of the old file, 14 for each of the new one, and some 60 for each compressed cluster.
 *
 * @param device an empty file.
 * @throws QsnapError OUTPUT_IS_INPUT, OUTPUT_EXISTS, EXTERNAL_DATA_FILE, IMAGE_DAMAGED, IMAGE_CHANGED, SNAPSHOT_STALE, ENCRYPTED, PASSPHRASE_WRONG,
 *   NEW_IMAGE_INVALID, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, UNSUPPORTED_COMPRESSION, CLUSTER_DATA_INVALID, READ_FAILED,
 *   WRITE_FAILED, NO_SPACE, VERIFY_FAILED, ABORTED.
 */
export async function compactImage(
  image: OpenImage,
  device: BlockDevice,
  options: CompactOptions,
): Promise<CompactReport> {
  refuseEdited(image);
  await refuseOneDevice(image.source, device);
  await refuseUsedFile(device, 'a compact copy');
  const [unread] = image.unread ?? [];
  if (unread !== undefined) throw unread.reason;
  const target = targetOf(image, options);
  const cipher = await cipherOf(image, options);
  const old = stoppableImage(image, options.signal, 'the compaction');
  const source = await readSourceTables(old, chosenSnapshots(image, options));
  const survey = await surveyTables(source, options.signal);
  refuseTarget(target, source, survey);
  const tell = progressOf(source, survey, options);
  const deduped = await dedupedBy(source, survey, target, cipher, options);
  const { totals, sizeBytes, header } = await writeNew(
    source,
    deduped.survey,
    device,
    target,
    cipher,
    {
      ...options,
      onBytes: tell('writing', 1),
    },
  );
  const { isSameGrid } = target;
  const comparing = { ...options, isSameGrid, cipher, onBytes: tell('comparing', 2) };
  try {
    // The old image is read while the medium takes the new one.
    const [, disks] = await settled([
      publish(device, header),
      digestOld(source, survey, comparing),
    ]);
    await compareNew(device, disks, comparing);
    await refuseUnsound(device, { corruptions: 0, checkErrors: 0, leaks: 0 });
    return {
      ...totals,
      oldFileSizeBytes: image.fileSizeBytes,
      newFileSizeBytes: sizeBytes,
      dedupedClusters: deduped.clusters + totals.dedupedClusters,
      disks,
      bitmapsLeftOut: image.bitmaps.length,
    };
  } catch (error) {
    await blank(device).catch(() => undefined);
    throw error;
  }
}

/** What is not proved to be equal is no image. */
async function blank(device: BlockDevice): Promise<void> {
  await device.writeBatch([{ at: 0, bytes: new Uint8Array(512) }]);
  await device.flush();
}

/** The first cluster comes when all else is on the medium. */
async function publish(device: BlockDevice, header: Uint8Array): Promise<void> {
  await device.flush();
  await device.writeBatch([{ at: 0, bytes: header }]);
  await device.flush();
}

/** In the order of the table, whatever the order that they were named in. */
function chosenSnapshots(image: OpenImage, { snapshots }: CompactOptions): readonly Snapshot[] {
  if (snapshots === undefined) return image.snapshots;
  const chosen = new Set(snapshots.map((snapshot) => ownSnapshot(image, snapshot).index));
  return image.snapshots.filter(({ index }) => chosen.has(index));
}

/**
 * LUKS numbers sectors by their place in the file: what moves is encrypted anew. The old AES numbers them by their
 * place on the disk, and stays as it is.
 */
async function cipherOf(
  image: OpenImage,
  { passphrase, cryptography }: CompactOptions,
): Promise<DiskCipher | undefined> {
  if (image.header.encryption !== 'luks') return undefined;
  if (passphrase === undefined || cryptography === undefined) {
    throw new QsnapError(
      'ENCRYPTED',
      'clusters with LUKS are encrypted by their place, and no passphrase was given to move them',
      {
        file: image.source.label,
        actual: 'luks',
        hint: 'give the passphrase that the image was made with',
      },
    );
  }
  return unlock(image, passphrase, cryptography);
}

async function dedupedBy(
  source: SourceTables,
  survey: Survey,
  { geometry, isSameGrid }: CompactTarget,
  cipher: DiskCipher | undefined,
  { dedupe, newHasher, signal }: CompactOptions,
): Promise<Deduped> {
  if (dedupe !== true || !isSameGrid) return { survey, clusters: 0 };
  const referencesMax = referencesMaxOf(geometry);
  return dedupeClusters(source, survey, { newHasher, cipher, referencesMax, signal });
}

type Tell = (phase: 'writing' | 'comparing', times: number) => (bytes: number) => void;

function progressOf(
  { format }: SourceTables,
  { references, packed }: Survey,
  { onProgress }: CompactOptions,
): Tell {
  const { clusterBytes } = format.geometry;
  const clusters = references.reduce((sum, count) => (count > 0 ? sum + 1 : sum), 0);
  const total = clusters * clusterBytes + packed.bytes.reduce((sum, bytes) => sum + bytes, 0);
  return (phase, times) => {
    let done = 0;
    return (bytes) => {
      done += bytes;
      onProgress?.(phase, Math.min(done, total * times), total * times);
    };
  };
}
