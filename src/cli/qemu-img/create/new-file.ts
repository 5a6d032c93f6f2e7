/** A file that is to be an image: its path as typed, and how it is opened. */
import { isQsnapError } from '../../../index.js';
import { openFileToReplace, type ReplaceableFile } from '../../../node/index.js';
import { isOtherProtocol } from '../disks/formats.js';
import type { QemuImgIo } from '../disks/io.js';
import { openingReason } from '../disks/opened.js';
import { protocolOf } from '../disks/target.js';
import { textOf } from '../grammar/bytes.js';
import { OPEN_REASONS, systemText } from '../messages.js';
import { NEW_IMAGE } from '../messages/create.js';
import type { Refusal } from '../refusal.js';
import { warnAboutLock } from '../snapshot.js';

/** A file to be made: as QEMU shows it, and its path. */
export interface NewPath {
  readonly shown: string;
  readonly path: string;
}

export function pathOf(name: string, fail: (reason: string) => Refusal): NewPath {
  const protocol = protocolOf(name);
  if (protocol !== undefined && protocol !== 'file') {
    const known = isOtherProtocol(protocol) && protocol !== 'json';
    const { unsupportedProtocol, unknownProtocol } = OPEN_REASONS;
    throw fail(known ? unsupportedProtocol(protocol) : unknownProtocol(protocol));
  }
  const shown = protocol === 'file' ? name.slice('file:'.length) : name;
  const path = textOf(shown);
  if (path === undefined) throw fail(OPEN_REASONS.pathNotUtf8);
  return { shown, path };
}

/**
 * Opens a file for a new image and hands it over, empty. If it comes to nothing, a file that was
 * made for it goes away again.
 *
 * @param refuse looks at the open file before anything in it is lost.
 */
export async function withNewFile(
  { shown, path }: NewPath,
  fail: (reason: string) => Refusal,
  io: QemuImgIo,
  use: (file: ReplaceableFile) => Promise<void>,
  refuse?: (file: ReplaceableFile) => Promise<void>,
): Promise<void> {
  let file: ReplaceableFile;
  try {
    file = await openFileToReplace(path);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const text = systemText(error.details.systemCode ?? '');
    if (error.code === 'OPEN_FAILED' && text !== undefined) {
      throw fail(NEW_IMAGE.notCreated(shown, text));
    }
    const target = { operand: shown, shown, path, format: undefined };
    const reason = openingReason(error, target, true);
    const isDirectory = reason === `Could not open '${shown}': Is a directory`;
    throw fail(isDirectory ? NEW_IMAGE.notCreated(shown, 'Is a directory') : reason);
  }
  try {
    await refuse?.(file);
    warnAboutLock(file, io);
    if (file.growable) await file.truncate(0);
    await use(file);
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.close();
}
