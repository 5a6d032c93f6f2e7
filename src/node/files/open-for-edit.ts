/** Opens image files for an edit, locked against everybody. */
import { constants } from 'node:fs';
import type { BlockDevice } from '../../io/device.js';
import { openChecked, SAFELY } from './file.js';
import { closeQuietly, openCalls } from './file-calls.js';
import { FileDevice } from './file-device.js';
import { leadsTo } from './identity.js';
import { lockForEdit } from './lock.js';
import { asHostFile, withLock, type HostFile } from './open.js';

export type EditableImageFile = BlockDevice & HostFile;

/**
 * Opens a file or block device for reading and writing. Never makes or empties a file.
 *
 * @throws QsnapError as `openFileSource`.
 */
export async function openFileDevice(path: string): Promise<FileDevice> {
  const forWriting = (file: string) => openCalls(file, SAFELY | constants.O_RDWR);
  const { calls, facts } = await openChecked(path, path, forWriting);
  return new FileDevice(path, calls, facts);
}

/**
 * Opens an image for an edit, locked against everybody. The file must exist.
 *
 * ```ts
 * const device = await openFileForEdit('disk.qcow2');
 * try {
 *   const image = await openImage(device);
 *   await executePlan(await planDelete(image, image.snapshots));
 * } finally {
 *   await device.close();
 * }
 * ```
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, or IMAGE_IN_USE when somebody has it open.
 */
export async function openFileForEdit(path: string): Promise<EditableImageFile> {
  return lockedForEdit(await openFileDevice(path), path);
}

/**
 * An open file locked against everybody, as `openFileForEdit` gives it. It is closed where that fails.
 *
 * @param path that leads to it.
 */
export async function lockedForEdit(opened: FileDevice, path: string): Promise<EditableImageFile> {
  const device = asHostFile(opened, path);
  const refusal = device.growable ? undefined : await device.refusalToWrite();
  if (refusal !== undefined) {
    await closeQuietly(device);
    throw refusal;
  }
  const named = Object.assign(device, { isInPlace: () => leadsTo(device.path, device.fd, path) });
  return withLock(named, () => lockForEdit(device.fd, path));
}
