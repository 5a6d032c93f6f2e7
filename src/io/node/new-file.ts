/** Files that did not exist before, or whose content is going to be replaced. */
import { constants, promises } from 'node:fs';
import path from 'node:path';
import { QsnapError } from '../../errors.js';
import type { BlockDevice } from '../device.js';
import { openCalls } from './file-calls.js';
import { FileDevice } from './file-device.js';
import { openFileForEdit, type EditableImageFile } from './open.js';
import { openFailed, systemCodeOf } from './system-error.js';

/** Only the owner may read it: it may hold what an image holds. */
const MODE = 0o600;

/**
 * Makes an empty file, which must not exist, and makes sure that its name stays.
 *
 * @throws QsnapError OPEN_FAILED with the system's error, EEXIST where there is such a file.
 */
export async function createNewFile(file: string): Promise<BlockDevice> {
  try {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
    const calls = await openCalls(file, flags, MODE);
    await syncDirectory(path.dirname(file));
    return new FileDevice(file, calls, { fixedBytes: undefined });
  } catch (error) {
    throw openFailed(file, error);
  }
}

/** Makes sure that the names in a directory stay. */
export async function syncDirectory(directory: string): Promise<void> {
  const calls = await openCalls(directory, constants.O_RDONLY);
  try {
    await calls.sync();
  } finally {
    await calls.close();
  }
}

/** As QEMU makes images, less what the process's mask takes away. */
const IMAGE_MODE = 0o644;

/** A file for a new image, locked against everybody. */
export interface ReplaceableFile extends EditableImageFile {
  /** Whether it was made just now. Otherwise its old content is still there. */
  readonly isNew: boolean;
  /** Closes the file, and removes it if it was made just now. */
  abandon(): Promise<void>;
}

/**
 * Opens the file of an image to be, and makes it where there is none. What is in it stays until
 * the caller truncates it: nothing is lost before all else is known to be right.
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, or IMAGE_IN_USE when somebody has it open.
 */
export async function openFileToReplace(path: string): Promise<ReplaceableFile> {
  const isNew = await makeIfMissing(path);
  try {
    const file = await openFileForEdit(path);
    const abandon = async (): Promise<void> => {
      await file.close();
      if (isNew) await promises.rm(path, { force: true });
    };
    return Object.assign(file, { isNew, abandon });
  } catch (error) {
    const isTaken = error instanceof QsnapError && error.code === 'IMAGE_IN_USE';
    if (isNew && !isTaken) await promises.rm(path, { force: true });
    throw error;
  }
}

async function makeIfMissing(path: string): Promise<boolean> {
  try {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
    await (await openCalls(path, flags, IMAGE_MODE)).close();
    return true;
  } catch (error) {
    // A link that leads nowhere counts as there, too: the file is made where it points.
    if (systemCodeOf(error) !== 'EEXIST') throw openFailed(path, error);
  }
  try {
    await (await openCalls(path, constants.O_RDONLY | constants.O_NONBLOCK)).close();
    return false;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') return false;
  }
  try {
    await (await openCalls(path, constants.O_CREAT | constants.O_RDWR, IMAGE_MODE)).close();
    return true;
  } catch (error) {
    throw openFailed(path, error);
  }
}
