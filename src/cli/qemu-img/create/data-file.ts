/** The external data file of a new image. */
import { isQsnapError, type BlockDevice, type CreateImageOptions } from '../../../index.js';
import { fileIdentity, openFileForEdit } from '../../../node/index.js';
import { byteString, textOf } from '../grammar/bytes.js';
import type { QemuImgIo } from '../disks/io.js';
import { openingReason, type EditableFile } from '../disks/opened.js';
import { fullBackingName } from '../disks/target.js';
import { sentenceOf } from '../messages.js';
import { NEW_IMAGE } from '../messages/create.js';
import type { Refusal } from '../refusal.js';
import { pathOf, withNewFile, type NewPath } from './new-file.js';
import { fillRaw } from './new-raw.js';

interface NewImage {
  readonly at: NewPath;
  readonly options: CreateImageOptions;
  /** The data file is there, and its content stays. */
  readonly keepsData: boolean;
}

/** What opens files beside the image, and may refuse them before anything in them is lost. */
export type RefuseFile = (
  shown: string,
  file: { identity(): Promise<string | undefined> },
) => Promise<void>;

/**
 * Makes or opens the external data file of a new image, if it shall have one, as long as it has to be.
 *
 * @throws Refusal.
 */
export async function withDataFile(
  { at, options, keepsData }: NewImage,
  fail: (reason: string) => Refusal,
  io: QemuImgIo,
  use: (data: BlockDevice | undefined) => Promise<void>,
  refuse: RefuseFile = () => Promise.resolve(),
): Promise<void> {
  const { dataFile, preallocation = 'off' } = options;
  if (dataFile === undefined) return use(undefined);
  const name = byteString(dataFile.name);
  const data = pathOf(name, fail);
  // QEMU makes it where the process is, and looks for it beside the image afterwards.
  const found = textOf(fullBackingName(at.shown, data.shown));
  const isOwn = data.path === at.path || found === at.path || (await areOneFile(data, at));
  if (isOwn) throw fail(NEW_IMAGE.ownDataFile);
  // QEMU makes it whole clusters long where entries say that it has all of them.
  const isMapped = preallocation !== 'off' || dataFile.raw;
  const unit = isMapped && !options.extendedL2 ? options.clusterBytes : 1;
  const bytes = Math.ceil(options.diskSizeBytes / unit) * unit;
  if (keepsData) {
    await withKeptFile(data, fail, async (kept) => {
      await refuse(data.shown, kept);
      if ((await kept.sizeBytes()) < bytes) await kept.truncate(bytes);
      await use(kept);
    });
    return;
  }
  const make = async (file: BlockDevice): Promise<void> => {
    try {
      await fillRaw(file, bytes, preallocation);
    } catch (error) {
      throw isQsnapError(error) ? fail(sentenceOf(error)) : error;
    }
    await use(file);
  };
  await withNewFile(data, fail, io, make, (file) => refuse(data.shown, file));
}

/** Opens a file whose content stays. */
async function withKeptFile(
  { shown, path }: NewPath,
  fail: (reason: string) => Refusal,
  use: (file: EditableFile) => Promise<void>,
): Promise<void> {
  let file: EditableFile;
  try {
    file = await openFileForEdit(path);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    throw fail(openingReason(error, { operand: shown, shown, path, format: undefined }, true));
  }
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

/** Whether both names lead to one file that is there. */
async function areOneFile(a: NewPath, b: NewPath): Promise<boolean> {
  const identity = await fileIdentity(a.path);
  return identity !== undefined && identity === (await fileIdentity(b.path));
}
