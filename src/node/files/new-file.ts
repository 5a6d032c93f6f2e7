/** Files that did not exist before, or whose content is going to be replaced. */
import { constants, promises } from 'node:fs';
import path from 'node:path';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { BlockDevice } from '../../io/device.js';
import { closeQuietly, openCalls, type NodeFileCalls } from './file-calls.js';
import { FileDevice } from './file-device.js';
import { identityAtOnce, removeOwnName } from './identity.js';
import { syncName } from './naming.js';
import { lockedForEdit, openFileForEdit, type EditableImageFile } from './open-for-edit.js';
import { openFailed, systemCodeOf } from './system-error.js';

/** Only the owner may read it: it may hold what an image holds. */
const MODE = 0o600;

/** A file that was made just now. */
export interface NewFile extends BlockDevice {
  /** Closes the file and removes it, unless another file has its name by now. */
  abandon(): Promise<void>;
}

/**
 * Makes a new, empty file with a durable name (see `syncName`). If a step fails the file is removed again.
 *
 * ```ts
 * const file = await createNewFile('old.undo');
 * try {
 *   await file.writeBatch([{ at: 0, bytes }]);
 *   await file.flush();
 *   await file.close();
 * } catch (error) {
 *   await file.abandon(); // nothing is left of it
 *   throw error;
 * }
 * ```
 *
 * @throws QsnapError OUTPUT_EXISTS if the name is taken; OPEN_FAILED with the system's error.
 */
export async function createNewFile(file: string): Promise<NewFile> {
  try {
    const { calls, identity } = await make(file, MODE).catch((error: unknown) => {
      throw systemCodeOf(error) === 'EEXIST' ? nameTaken(file, error) : error;
    });
    const device = new FileDevice(file, calls, { fixedBytes: undefined });
    const abandon = (): Promise<void> => abandoned(device, file, identity);
    try {
      await syncName(file, calls);
    } catch (error) {
      await abandon();
      throw error;
    }
    return Object.assign(device, { abandon });
  } catch (error) {
    throw error instanceof QsnapError ? error : openFailed(file, error);
  }
}

function nameTaken(file: string, cause: unknown): QsnapError {
  const details = { file, hint: 'choose another name' };
  return new QsnapError('OUTPUT_EXISTS', `${printableText(file)} exists already`, details, cause);
}

interface Made {
  readonly calls: NodeFileCalls;
  /** What leads to it, and is no link. */
  readonly path: string;
  readonly identity: string;
}

/** @throws the system's error, EEXIST where there is such a file or link. */
async function make(file: string, mode: number): Promise<Made> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  const calls = await openCalls(file, flags, mode);
  try {
    return { calls, path: file, identity: identityAtOnce(calls.fd) };
  } catch (error) {
    await closeQuietly(calls);
    throw error;
  }
}

/** The name goes first: as long as the file is open, its locks keep others from beginning to use it. */
async function abandoned(
  file: Pick<BlockDevice, 'close'>,
  name: string,
  identity: string,
): Promise<void> {
  removeOwnName(name, identity);
  await closeQuietly(file);
}

/** As QEMU makes images, less what the process's mask takes away. */
const IMAGE_MODE = 0o644;

/** A file for a new image, locked against everybody. */
export interface ReplaceableFile extends EditableImageFile {
  /** Whether it was made just now. Otherwise its old content is still there. */
  readonly isNew: boolean;
  /** Closes the file, and removes it if it was made just now, unless another file has its name by now. */
  abandon(): Promise<void>;
}

/**
 * Opens the file of an image to be, and makes it where there is none. What is in it stays until
 * the caller truncates it: nothing is lost before all else is known to be right.
 *
 * ```ts
 * const file = await openFileToReplace('disk.qcow2');
 * await file.truncate(0);
 * await createImage(file, {
 *   diskSizeBytes: 2 ** 30,
 *   version: 3,
 *   clusterBytes: 65536,
 *   refcountBits: 16,
 *   extendedL2: false,
 *   lazyRefcounts: false,
 *   compressionType: 'zlib',
 * });
 * await file.close();
 * ```
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, or IMAGE_IN_USE when somebody has it open.
 */
export async function openFileToReplace(file: string): Promise<ReplaceableFile> {
  const made = await makeIfMissing(file);
  if (made === undefined) {
    const old = await openFileForEdit(file);
    return Object.assign(old, { isNew: false, abandon: () => closeQuietly(old) });
  }
  const device = new FileDevice(file, made.calls, { fixedBytes: undefined });
  try {
    const locked = await lockedForEdit(device, file);
    const abandon = (): Promise<void> => abandoned(locked, made.path, made.identity);
    return Object.assign(locked, { isNew: true, abandon });
  } catch (error) {
    // Whoever has it open already made something of it.
    const isTaken = error instanceof QsnapError && error.code === 'IMAGE_IN_USE';
    if (!isTaken) removeOwnName(made.path, made.identity);
    throw error;
  }
}

/** Undefined: there is something that leads to a file, or to what can't be opened. */
async function makeIfMissing(file: string): Promise<Made | undefined> {
  try {
    return await make(file, IMAGE_MODE);
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw openFailed(file, error);
  }
  if (!(await leadsNowhere(file))) return undefined;
  // A link that leads nowhere counts as there, too: the file is made where it points.
  try {
    return await make(await endOfLinks(file), IMAGE_MODE);
  } catch (error) {
    // Somebody made it meanwhile.
    if (systemCodeOf(error) === 'EEXIST') return undefined;
    throw openFailed(file, error);
  }
}

async function leadsNowhere(file: string): Promise<boolean> {
  try {
    await promises.stat(file);
    return false;
  } catch (error) {
    return systemCodeOf(error) === 'ENOENT';
  }
}

/** As many as Linux follows. */
const LINKS_MAX = 40;

/**
 * Where a row of links ends, of which the last leads to a name that nothing has. `..` stays in the names:
 * it is a step of the file system.
 *
 * @throws the system's error.
 */
async function endOfLinks(file: string): Promise<string> {
  let end = file;
  for (let links = 0; links < LINKS_MAX; links++) {
    const target = await promises.readlink(end).catch((error: unknown) => {
      if (['ENOENT', 'EINVAL'].includes(systemCodeOf(error) ?? '')) return undefined;
      throw error;
    });
    if (target === undefined) return end;
    end = path.isAbsolute(target) ? target : `${path.dirname(end)}/${target}`;
  }
  return end;
}
