import { firstDifference, hasSameBytes } from '../../base/bytes.js';
import { isQsnapError, QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import { openImage } from '../../image/open.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { refuseOneDevice, refuseUsedFile } from '../../io/new-device.js';
import { overlaid } from '../../io/overlaid.js';
import { settled } from '../../io/settled.js';
import { stoppable, stoppableImage } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { refuseUnsound } from '../../read/check/refuse-unsound.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import { unlock } from '../../read/guest/unlock.js';
import { referencesMaxOf } from '../new/host-clusters.js';
import { compareImages, type CompareOptions } from './compare/compare-images.js';
import { REPORT_HINT } from './compare/difference.js';
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
 * The first sector comes last: when every disk and VM state of the new image was compared with the old one, byte by
 * byte, and a check found nothing. If anything fails, the file is no image.
 *
 * ```ts
 * const copy = await createNewFile('compact.qcow2');
 * const { newFileSizeBytes } = await compactImage(await openImage(device), copy, {
 *   decompressor: nodeDecompressor(),
 * });
 * await copy.close();
 * ```
 *
 * Memory: 20 bytes for each cluster of the old file, 14 for each of the new one, some 40 for each compressed cluster, and 24
 * for each entry that leads to one.
 *
 * @param device an empty file.
 * @throws QsnapError OUTPUT_IS_INPUT, OUTPUT_EXISTS, EXTERNAL_DATA_FILE, IMAGE_DAMAGED, IMAGE_CHANGED, SNAPSHOT_STALE, ENCRYPTED, PASSPHRASE_WRONG,
 *   NEW_IMAGE_INVALID, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, UNSUPPORTED_COMPRESSION, CLUSTER_DATA_INVALID, READ_FAILED,
 *   WRITE_FAILED, NO_SPACE, VERIFY_FAILED, ABORTED.
 */
export async function compactImage(
  image: OpenImage,
  device: BlockDevice,
  options: CompactOptions = {},
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
  const { totals, sizeBytes, firstSector } = await writeNew(
    source,
    deduped.survey,
    device,
    target,
    cipher,
    { ...options, onBytes: tell('writing') },
  );
  const { decompressor, isEqual, signal } = options;
  const comparing = {
    ...{ isSameGrid: target.isSameGrid, cipher, decompressor, isEqual, signal },
    onBytes: tell('comparing'),
  };
  // It is compared while the medium takes it.
  await settled([
    device.flush(),
    proveEqual(source, survey, overlaid(device, 0, firstSector), comparing),
  ]);
  await publish(device, firstSector);
  return {
    ...totals,
    oldFileSizeBytes: image.fileSizeBytes,
    newFileSizeBytes: sizeBytes,
    dedupedClusters: deduped.clusters + totals.dedupedClusters,
    disks: source.disks.map(({ snapshot, diskSizeBytes }) => {
      return { snapshot, diskSizeBytes, vmStateBytes: snapshot?.vmStateBytes ?? 0 };
    }),
    bitmapsLeftOut: image.bitmaps.length,
  };
}

/**
 * Reads the new image from its header on, checks it, and compares its disks with the old ones.
 *
 * @throws QsnapError VERIFY_FAILED, and what reading and unpacking the old image throws.
 */
async function proveEqual(
  source: SourceTables,
  survey: Survey,
  device: BlockSource,
  options: CompareOptions,
): Promise<void> {
  const view = stoppable(device, options.signal, 'the comparison');
  const made = await openImage(view).catch((error: unknown) => {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    throw notAnImage(device, error);
  });
  await refuseUnsound(view, { corruptions: 0, checkErrors: 0, leaks: 0 });
  await compareImages(source, survey, made, options);
}

function notAnImage({ label }: BlockSource, cause: QsnapError): QsnapError {
  const { message, details } = cause;
  const more = { ...details, file: label, hint: REPORT_HINT };
  return new QsnapError(
    'VERIFY_FAILED',
    `the new image can not be opened: ${message}`,
    more,
    cause,
  );
}

/** The first sector comes when all else is on the medium, and was compared. */
async function publish(device: BlockDevice, firstSector: Uint8Array): Promise<void> {
  try {
    await device.writeBatch([{ at: 0, bytes: firstSector }]);
    await device.flush();
    const stored = new Uint8Array(firstSector.length);
    await device.readBatch([{ at: 0, into: stored }]);
    if (hasSameBytes(stored, firstSector)) return;
    throw new QsnapError('VERIFY_FAILED', 'the header does not read back as it was written', {
      structure: 'header',
      at: firstDifference(stored, firstSector),
      file: device.label,
      hint: 'the old image is as it was; the medium may be faulty',
    });
  } catch (error) {
    await blank(device).catch(() => undefined);
    throw error;
  }
}

/** What may not be there as a whole is no image. */
async function blank(device: BlockDevice): Promise<void> {
  await device.writeBatch([{ at: 0, bytes: new Uint8Array(512) }]);
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
  { dedupe, isEqual, signal }: CompactOptions,
): Promise<Deduped> {
  if (dedupe !== true || !isSameGrid) return { survey, clusters: 0 };
  const referencesMax = referencesMaxOf(geometry);
  return dedupeClusters(source, survey, { isEqual, cipher, referencesMax, signal });
}

type Tell = (phase: 'writing' | 'comparing') => (bytes: number) => void;

function progressOf(
  { format }: SourceTables,
  { references, packed }: Survey,
  { onProgress }: CompactOptions,
): Tell {
  const { clusterBytes } = format.geometry;
  const clusters = references.reduce((sum, count) => (count > 0 ? sum + 1 : sum), 0);
  const total = clusters * clusterBytes + packed.bytes.reduce((sum, bytes) => sum + bytes, 0);
  return (phase) => {
    let done = 0;
    return (bytes) => {
      done += bytes;
      onProgress?.(phase, Math.min(done, total), total);
    };
  };
}
