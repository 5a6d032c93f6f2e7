/** Opens image files with the locks that their use asks for. */
import { stat } from 'node:fs';
import { promisify } from 'node:util';
import { printableText } from '../../base/text.js';
import type { QsnapError } from '../../errors.js';
import type { BlockDevice, BlockSource } from '../device.js';
import type { SparseSource } from '../holes.js';
import { openFileDevice, openFileSource } from './file.js';
import { hostFreeBytes, hostRoomBytes } from './host-room.js';
import { NO_LOCK, lockForEdit, lockForRead, statOf } from './lock.js';
import type { FileLock } from './lock.js';
import { readFailed, systemCodeOf } from './system-error.js';
import { refusalToWrite } from './writable.js';

/** What only files of the host have. */
interface HostFile extends SparseSource {
  /** What is sure about others who have the image open. */
  readonly lock: FileLock;
  /** Why an edit could not open the file; undefined where nothing speaks against it. */
  refusalToWrite(): Promise<QsnapError | undefined>;
}

export type ImageFile = HostFile;
export type EditableImageFile = BlockDevice & HostFile;

export interface OpenFileOptions {
  /** Read whatever others do with the image, without any lock; the answer may be inconsistent. */
  readonly forceShare?: boolean;
}

/**
 * Opens an image for reading, locked as QEMU's readers lock it. Nothing about the file changes.
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, or IMAGE_IN_USE when somebody writes to it.
 */
export async function openFile(path: string, options: OpenFileOptions = {}): Promise<ImageFile> {
  const source = asHostFile(await openFileSource(path), path);
  if (options.forceShare === true) return Object.assign(source, { lock: NO_LOCK });
  return withLock(source, () => lockForRead(source.fd, path));
}

/**
 * Opens an image for an edit, locked against everybody. The file must exist.
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, or IMAGE_IN_USE when somebody has it open.
 */
export async function openFileForEdit(path: string): Promise<EditableImageFile> {
  const device = asHostFile(await openFileDevice(path), path);
  const refusal = device.growable ? undefined : await device.refusalToWrite();
  if (refusal !== undefined) {
    await device.close();
    throw refusal;
  }
  const named = Object.assign(device, { isInPlace: () => leadsTo(path, device.fd) });
  return withLock(named, () => lockForEdit(device.fd, path));
}

type RoomMethods = 'roomBytes' | 'freeBytes';

/** The file, with what its path tells of it: whether it could be written, and become longer. */
function asHostFile<File extends BlockSource & { readonly growable: boolean }>(
  file: File,
  path: string,
): File & Required<Pick<BlockSource, RoomMethods>> & Pick<HostFile, 'refusalToWrite'> {
  return Object.assign(file, {
    roomBytes: async () => (file.growable ? hostRoomBytes(path, await file.sizeBytes()) : 0),
    // A block device has no holes to fill.
    freeBytes: async () => (file.growable ? hostFreeBytes(path) : undefined),
    refusalToWrite: () => refusalToWrite(path),
  });
}

async function withLock<File extends BlockSource & { readonly fd: number }>(
  file: File,
  takeLock: () => Promise<FileLock>,
): Promise<File & { readonly lock: FileLock }> {
  try {
    const taken = await takeLock();
    const isClosed = (): boolean => file.fd === -1;
    let released = false;
    // The number of a closed file is given to another one, whose locks are not ours to end.
    const release = (): void => {
      released = true;
      if (!isClosed()) taken.release();
    };
    const lostHold = (): 'closed' | 'unlocked' | undefined =>
      isClosed() ? 'closed' : released ? 'unlocked' : undefined;
    return Object.assign(file, { lock: { guarantee: taken.guarantee, release }, lostHold });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Whether a path leads to the file that is open. */
async function leadsTo(path: string, fd: number): Promise<boolean> {
  try {
    const [named, opened] = await Promise.all([
      promisify(stat)(path, { bigint: true }),
      statOf(fd),
    ]);
    return named.dev === opened.dev && named.ino === opened.ino;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw readFailed(path, `look whether ${printableText(path)} still is the same file`, error);
  }
}
