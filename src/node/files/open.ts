/** Opens image files for reading, with the lock that this asks for. */
import { isAbsolute } from 'node:path';
import { QsnapError } from '../../errors.js';
import type { BlockSource, FileStretch } from '../../io/device.js';
import { openFileSource } from './file.js';
import { closeQuietly } from './file-calls.js';
import { hostFreeBytes, hostRoomBytes } from './host-room.js';
import { datesOf, identityOf, statOf, type FileDates } from './identity.js';
import { NO_LOCK, lockForRead } from './lock.js';
import type { FileLock } from './lock.js';
import { openFailed } from './system-error.js';
import { refusalToWrite } from './writable.js';

/** What only files of the host have. */
export interface HostFile extends BlockSource {
  allocatedBytes(): Promise<number>;
  stretchesFrom(from: number, to: number): Promise<readonly FileStretch[] | undefined>;
  readonly path: string;
  identity(): Promise<string>;
  /** Permission bits of the open file. */
  permissions(): Promise<number>;
  /** When the open file was last written and changed, and when it was made. */
  dates(): Promise<FileDates>;
  /** What is sure about others who have the image open. */
  readonly lock: FileLock;
  /** Why an edit could not open the file; undefined where nothing speaks against it. */
  refusalToWrite(): Promise<QsnapError | undefined>;
}

export type ImageFile = HostFile;

export interface OpenFileOptions {
  /** Read whatever others do with the image, without any lock; the answer may be inconsistent. */
  readonly forceShare?: boolean;
}

/**
 * Opens an image for reading, locked as QEMU's readers lock it. Nothing about the file changes.
 *
 * ```ts
 * const source = await openFile('disk.qcow2');
 * const { findings } = await checkImage(source);
 * await source.close();
 * ```
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, or IMAGE_IN_USE when somebody writes to it.
 */
export function openFile(path: string, options: OpenFileOptions = {}): Promise<ImageFile> {
  return openLabelledFile(path, path, options);
}

/** `openFile` of a file that people call otherwise than by the path that leads to it. */
export async function openLabelledFile(
  path: string,
  label: string,
  options: OpenFileOptions,
): Promise<ImageFile> {
  const source = asHostFile(await openFileSource(path, label), path);
  if (options.forceShare === true) return Object.assign(source, { lock: NO_LOCK });
  return withLock(source, () => lockForRead(source.fd, label));
}

/** What the path tells of a file: whether it could be written, and become longer. */
type PathMethods = Required<Pick<BlockSource, 'roomBytes' | 'freeBytes'>> &
  Pick<HostFile, 'path' | 'identity' | 'permissions' | 'dates' | 'refusalToWrite'>;

/** The open file, with what is known of it as a file of the host. */
export function asHostFile<
  File extends BlockSource & { readonly fd: number; readonly growable: boolean },
>(file: File, opened: string): File & PathMethods {
  // Where the program goes later is nothing to an open file.
  const path = absolute(opened);
  return Object.assign(file, {
    path,
    identity: async () => identityOf(await statOf(file.fd)),
    permissions: async () => Number((await statOf(file.fd)).mode) & PERMISSION_BITS,
    dates: async () => datesOf(await statOf(file.fd)),
    roomBytes: async () => (file.growable ? hostRoomBytes(path, await file.sizeBytes()) : 0),
    // A block device has no holes to fill.
    freeBytes: async () => (file.growable ? hostFreeBytes(path) : undefined),
    refusalToWrite: () => refusalToWrite(path, file.label),
  });
}

const PERMISSION_BITS = 0o7777;

/** `..` stays: with a link before it, it leads elsewhere than a path without both. */
function absolute(path: string): string {
  if (isAbsolute(path)) return path;
  try {
    return `${process.cwd()}/${path}`;
  } catch {
    // The folder where the program is was removed, and has no name any more.
    return path;
  }
}

/** The file with its lock. It is closed where that can't be had. */
export async function withLock<File extends BlockSource & { readonly fd: number }>(
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
    await closeQuietly(file);
    throw error instanceof QsnapError ? error : openFailed(file.label, error);
  }
}
