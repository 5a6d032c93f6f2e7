/** The image that is there already, for `convert -n`. */
import {
  createImage,
  isQsnapError,
  newQcow2Writer,
  newRawWriter,
  openGuestDisk,
  type BlockDevice,
  type OpenImage,
  type NewImageOptions,
} from '../../../index.js';
import { overwriteDisk } from '../../../internal.js';
import { fileIdentity } from '../../../node/index.js';
import { addBitmaps, copiedBitmaps, refuseBitmaps } from './convert-bitmaps.js';
import { isCacheMode } from '../grammar/cache-mode.js';
import type { UseTarget } from './convert-target.js';
import type { ConvertRequest } from './convert-arguments.js';
import { refuseInputs, type ConvertInput } from './convert-input.js';
import type { QemuImgIo } from '../disks/io.js';
import { CONVERT, CONVERT_REFUSED } from '../messages/convert.js';
import { couldNotOpen } from '../messages.js';
import { USAGE } from '../messages/usage.js';
import { withEditableImage, type EditableFile, type Opened } from '../disks/opened.js';
import { Refusal } from '../refusal.js';
import { readSecrets } from '../disks/secrets.js';
import { refuseUnwritable, warnAboutLock } from '../snapshot.js';
import { readingOf, withDiskOf } from '../disks/source-disk.js';
import { targetOf, type Target } from '../disks/target.js';

const SECTOR_BYTES = 512;

/** Opens the output, and hands over a writer that keeps what it is. */
export async function withExistingTarget(
  request: ConvertRequest,
  input: ConvertInput,
  io: QemuImgIo,
  use: UseTarget,
): Promise<void> {
  const { output, outputFormat, targetImageOpts, targetIsZero, backing, cache } = request;
  if (targetIsZero && backing !== undefined) throw new Refusal(CONVERT.zeroWithBacking);
  const copied = copiedBitmaps(request, input, io);
  if (cache !== undefined && !isCacheMode(cache)) throw new Refusal(CONVERT.cache(cache));
  if (targetImageOpts && outputFormat !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  if (backing !== undefined) throw new Refusal(CONVERT_REFUSED.backingOfExisting);
  const target = targetOf(output!, targetImageOpts, outputFormat);
  const isRead = (reason: string): Refusal => couldNotOpen(output!, reason);
  await refuseInputs(target.shown, await fileIdentity(target.path), input, isRead);
  await withEditableImage(target, async (opened) => {
    // Its name may lead to another file by now.
    await refuseInputs(target.shown, await opened.file.identity(), input, isRead);
    warnAboutLock(opened.file, io);
    if (opened.kind === 'raw') {
      if (request.bitmaps) throw new Refusal(CONVERT.noBitmapsIn('raw'));
      if (request.compressed) throw new Refusal(CONVERT.compressionOfRaw);
      await overRaw(opened.file, request, input, use);
      return;
    }
    const { file, image } = opened;
    const { version, diskSizeBytes } = image.header;
    if (copied !== undefined && version === 2) throw new Refusal(CONVERT.noBitmapsIn('qcow2'));
    const useAndAdd: UseTarget = async (to) => {
      await use(to);
      await addBitmaps(file, copied, io);
    };
    const options = await emptyImageOptions(image);
    if (options === undefined) {
      const useHeld: UseTarget = async (to) => {
        await refuseBitmaps(image, copied);
        await useAndAdd(to);
      };
      return overHeld(opened, target, request, input, useHeld, io);
    }
    if (diskSizeBytes < input.diskBytes) throw new Refusal(CONVERT.targetTooSmall);
    await refuseBitmaps(image, copied);
    await overEmpty(file, options, !targetIsZero, useAndAdd);
  });
}

type Held = Extract<Opened<EditableFile>, { kind: 'qcow2' }>;

/** Writes into an image that holds something. That it is zero is not believed: what is in the disk would show. */
async function overHeld(
  opened: Held,
  target: Target,
  request: ConvertRequest,
  { diskBytes }: ConvertInput,
  use: UseTarget,
  io: QemuImgIo,
): Promise<void> {
  const { image, file } = opened;
  if (image.header.externalDataFile)
    throw new Refusal(CONVERT_REFUSED.dataFileOfTarget(target.shown));
  refuseUnwritable(image, target);
  const how = { forceShare: false, secrets: readSecrets(request.secrets) };
  // As QEMU does, opens all layers before anything is written.
  await withDiskOf(opened, target, how, io, async ({ sizeBytes }) => {
    if (sizeBytes < diskBytes) throw new Refusal(CONVERT.targetTooSmall);
    if (request.compressed) throw new Refusal(CONVERT_REFUSED.compressedInto(target.shown));
    const disk = readingOf(image, target, how, io);
    const everything = request.sparseBytes === 0;
    await use({
      overwrite: async (content, onProgress) => {
        await io.interruptible((signal) =>
          overwriteDisk(file, content, { disk, everything, onProgress, signal }),
        );
      },
    });
  });
}

async function overRaw(
  file: EditableFile,
  request: ConvertRequest,
  { diskBytes }: ConvertInput,
  use: UseTarget,
): Promise<void> {
  const fileBytes = Math.ceil((await file.sizeBytes()) / SECTOR_BYTES) * SECTOR_BYTES;
  if (fileBytes < diskBytes) throw new Refusal(CONVERT.targetTooSmall);
  const everything = request.sparseBytes === 0;
  // Zeros need not be written where the host takes the old bytes back.
  const punched = everything ? 0 : await file.punchBatch([{ at: 0, length: diskBytes }]);
  const isBlank = request.targetIsZero || punched >= diskBytes;
  const oldBytes = isBlank ? 0 : await file.sizeBytes();
  const writer = await newRawWriter(asBlockDevice(file, oldBytes), diskBytes);
  await use({ writer, compressionType: 'zlib', backingBytes: undefined, everything: false });
  // The last sector may have ended in the file.
  if (file.growable && (await file.sizeBytes()) < diskBytes) await file.truncate(diskBytes);
}

/** The file as a block device is taken: its bytes, of which so many have to be overwritten, become the disk. */
function asBlockDevice(file: BlockDevice, oldBytes: number): BlockDevice {
  return {
    label: file.label,
    growable: false,
    sizeBytes: () => Promise.resolve(oldBytes),
    readBatch: (requests) => file.readBatch(requests),
    writeBatch: (requests) => file.writeBatch(requests),
    flush: () => file.flush(),
    truncate: (bytes) => file.truncate(bytes),
    punchBatch: (ranges) => file.punchBatch(ranges),
    close: () => file.close(),
  };
}

/** Writes the image anew with the options that it has. If that fails it is made empty again. */
async function overEmpty(
  file: EditableFile,
  options: NewImageOptions,
  explicitZeros: boolean,
  use: UseTarget,
): Promise<void> {
  const { compressionType, diskSizeBytes: diskBytes } = options;
  try {
    if (file.growable) await file.truncate(0);
    const writer = await newQcow2Writer(file, options);
    const kept = { compressionType, backingBytes: undefined, everything: false };
    await use({ writer, ...kept, explicitZeros, diskBytes });
  } catch (error) {
    try {
      if (file.growable) await file.truncate(0);
      await createImage(file, options);
    } catch (second) {
      if (!isQsnapError(second)) throw second;
    }
    throw error;
  }
}

/** @returns undefined for an image that holds something. */
async function emptyImageOptions(image: OpenImage): Promise<NewImageOptions | undefined> {
  const { header, geometry, snapshots, bitmaps } = image;
  const { diskSizeBytes, version, encryption, externalDataFile } = header;
  const hasMore = snapshots.length > 0 || bitmaps.length > 0 || externalDataFile;
  const isBare = encryption === 'none' && image.backingNameBytes === undefined;
  if (hasMore || !isBare) return undefined;
  const disk = await openGuestDisk(image);
  for await (const batch of disk.extents(0, diskSizeBytes)) {
    if (batch.some(({ kind }) => kind !== 'unallocated')) return undefined;
  }
  return {
    diskSizeBytes,
    version: version,
    clusterBytes: geometry.clusterBytes,
    refcountBits: geometry.refcountBits as NewImageOptions['refcountBits'],
    extendedL2: header.extendedL2,
    lazyRefcounts: header.lazyRefcounts,
    compressionType: header.compressionType,
  };
}
