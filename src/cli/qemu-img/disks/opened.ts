/** Opening the image of a command, with QEMU's words for what goes wrong. */
import { statSync } from 'node:fs';
import {
  isQsnapError,
  openForReading,
  openImage,
  type OpenImage,
  type QsnapError,
} from '../../../index.js';
import { judgeBitmap } from '../../../internal.js';
import { openFile, openFileForEdit } from '../../../node/index.js';
import { byteString } from '../grammar/bytes.js';
import { PROBE_BYTES, otherFormatOf } from './formats.js';
import { OPEN_REASONS, couldNotOpen, openReason, systemText } from '../messages.js';
import type { Target } from './target.js';

export type ReadableFile = Awaited<ReturnType<typeof openFile>>;
export type EditableFile = Awaited<ReturnType<typeof openFileForEdit>>;

/** An image, or a file that is none and so counts as a raw disk. */
export type Opened<File> =
  | { readonly kind: 'qcow2'; readonly file: File; readonly image: OpenImage }
  | { readonly kind: 'raw'; readonly file: File; readonly guessed: boolean };

/** Opens for reading, hands the image to `use`, and closes. */
export async function withImage<Result>(
  target: Target,
  forceShare: boolean,
  use: (opened: Opened<ReadableFile>) => Promise<Result>,
): Promise<Result> {
  return withOpened(target, false, () => openFile(target.path, { forceShare }), use);
}

/** Opens for writing under an exclusive lock, hands the image to `use`, and closes. */
export async function withEditableImage<Result>(
  target: Target,
  use: (opened: Opened<EditableFile>) => Promise<Result>,
): Promise<Result> {
  return withOpened(target, true, () => openFileForEdit(target.path), use);
}

/** A file for a check: whether it is qcow2 is told by its first bytes alone, sound or not. */
export type UnreadFile<File> =
  | { readonly kind: 'qcow2'; readonly file: File }
  | { readonly kind: 'raw'; readonly file: File; readonly guessed: boolean };

/**
 * Opens for a check, hands the file to `use`, and closes. What `use` fails with is told in the words
 * for an image that can't be opened.
 */
export async function withUnreadImage<File extends ReadableFile, Result>(
  target: Target,
  forEdit: boolean,
  open: () => Promise<File>,
  use: (opened: UnreadFile<File>) => Promise<Result>,
): Promise<Result> {
  const file = await inQemusWords(target, forEdit, open);
  try {
    return await inQemusWords(target, forEdit, async () => {
      const head = new Uint8Array(8);
      await file.readBatch([{ at: 0, into: head }]);
      const isQcow = target.format !== 'raw' && byteString(head.subarray(0, 4)) === 'QFI\xfb';
      // Version 1 is another format, which QEMU knows and does not check either.
      if (isQcow && head[7] === 1 && target.format === undefined) {
        return use({ kind: 'raw', file, guessed: false });
      }
      if (isQcow || target.format === 'qcow2') return use({ kind: 'qcow2', file });
      return use(await identify(file, target));
    });
  } finally {
    await file.close();
  }
}

async function withOpened<File extends ReadableFile, Result>(
  target: Target,
  forEdit: boolean,
  open: () => Promise<File>,
  use: (opened: Opened<File>) => Promise<Result>,
): Promise<Result> {
  const file = await inQemusWords(target, forEdit, open);
  try {
    return await use(await inQemusWords(target, forEdit, () => identify(file, target, forEdit)));
  } finally {
    await file.close();
  }
}

async function inQemusWords<Result>(
  target: Target,
  forEdit: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    throw couldNotOpen(target.operand, openingReason(error, target, forEdit));
  }
}

/** Why a file could not be opened, in QEMU's words: what follows `Could not open 'FILE': `. */
export function openingReason(error: QsnapError, target: Target, forEdit: boolean): string {
  const found =
    error.code === 'NOT_A_FILE' ? statSync(target.path, { throwIfNoEntry: false }) : undefined;
  return openReason(error, {
    path: target.shown,
    forEdit,
    isDirectory: found?.isDirectory() === true,
    isSocket: found?.isSocket() === true,
  });
}

/**
 * What a file is, by the format that was asked for or by its first bytes.
 *
 * @throws Refusal for other formats; QsnapError for a qcow2 image that can't be opened.
 */
export async function identify<File extends ReadableFile>(
  file: File,
  target: Target,
  forEdit = false,
): Promise<Opened<File>> {
  if (target.format === 'raw') return { kind: 'raw', file, guessed: false };
  try {
    const image = await opened(file, forEdit);
    refuseBitmaps(image, target);
    return { kind: 'qcow2', file, image };
  } catch (error) {
    if (!isQsnapError(error) || target.format === 'qcow2' || !isForeign(error)) throw error;
  }
  const head = new Uint8Array(PROBE_BYTES);
  await file.readBatch([{ at: 0, into: head }]);
  const other = otherFormatOf(byteString(head));
  if (other !== undefined) {
    throw couldNotOpen(target.operand, OPEN_REASONS.unsupportedFormat(other));
  }
  return { kind: 'raw', file, guessed: true };
}

/** Who reads needs no refcounts: for QEMU a refcount table may be said to lie over the header. */
async function opened(file: ReadableFile, forEdit: boolean): Promise<OpenImage> {
  try {
    return await openImage(file);
  } catch (error) {
    if (forEdit || !isQsnapError(error)) throw error;
    const { structure, actual } = error.details;
    if (structure !== 'refcount table' || actual !== '0x0') throw error;
    const image = await openForReading(file);
    if (image.unread.length > 1) throw error;
    return image;
  }
}

/** QEMU loads all bitmaps of an image when it opens it. */
function refuseBitmaps(image: OpenImage, { operand }: Target): void {
  for (const bitmap of image.bitmaps) {
    const fault = judgeBitmap(bitmap, image);
    if (fault === undefined) continue;
    // A name from the image makes no line of its own.
    const name = byteString(bitmap.nameBytes).replaceAll('\n', '\\n');
    const { brokenBitmap, unreadableBitmap } = OPEN_REASONS;
    const isBroken = fault.kind === 'unreadable';
    const reason = isBroken ? brokenBitmap(name) : unreadableBitmap(name, systemText('EINVAL')!);
    throw couldNotOpen(operand, reason);
  }
}

/** No qcow2 image at all. QEMU does not take version 0 for one either. */
function isForeign(error: QsnapError): boolean {
  const isVersion0 = error.code === 'UNSUPPORTED_VERSION' && error.details.actual === 'version 0';
  return error.code === 'NOT_QCOW2' || error.code === 'QCOW_VERSION_1' || isVersion0;
}
