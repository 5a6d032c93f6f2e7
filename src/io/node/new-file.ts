/** Files that did not exist before. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { BlockDevice } from '../device.js';
import { fileCalls } from './file-calls.js';
import { FileDevice } from './file-device.js';
import { openFailed } from './system-error.js';

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
    const handle = await open(file, flags, MODE);
    await syncDirectory(path.dirname(file));
    return new FileDevice(file, fileCalls(handle), { fixedBytes: undefined });
  } catch (error) {
    throw openFailed(file, error);
  }
}

/** Makes sure that the names in a directory stay. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
