/** A file or a block device of the host as a device. */
import { constants } from 'node:fs';
import type { Stats, StatsBase } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { blockDeviceSize } from './block-size.js';
import { fileCalls } from './file-calls.js';
import { FileDevice, FileSource } from './file-device.js';
import type { FileFacts } from './file-device.js';
import { openFailed, systemCodeOf } from './system-error.js';

/**
 * Opens a file or block device for reading only. Its bytes and its modification time stay as they
 * are, and its access time too where the system allows that.
 *
 * @throws QsnapError OPEN_FAILED with the system's error; NOT_A_FILE for directories, pipes,
 *   sockets and character devices, which are not even opened.
 */
export async function openFileSource(path: string): Promise<FileSource> {
  const { handle, facts } = await openChecked(path, openForReading);
  return new FileSource(path, fileCalls(handle), facts);
}

/**
 * Opens a file or block device for reading and writing. Never makes or empties a file.
 *
 * @throws QsnapError as `openFileSource`.
 */
export async function openFileDevice(path: string): Promise<FileDevice> {
  const forWriting = (file: string) => open(file, SAFELY | constants.O_RDWR);
  const { handle, facts } = await openChecked(path, forWriting);
  return new FileDevice(path, fileCalls(handle), facts);
}

/** Should a pipe or terminal take the file's place after the check, opening it doesn't hang. */
const SAFELY = constants.O_NONBLOCK | constants.O_NOCTTY;

async function openForReading(path: string): Promise<FileHandle> {
  const flags = SAFELY | constants.O_RDONLY;
  try {
    return await open(path, flags | constants.O_NOATIME);
  } catch (error) {
    // Only the owner may leave the access time alone.
    if (systemCodeOf(error) !== 'EPERM') throw error;
    return open(path, flags);
  }
}

interface Opened {
  readonly handle: FileHandle;
  readonly facts: FileFacts;
}

async function openChecked(
  path: string,
  opener: (path: string) => Promise<FileHandle>,
): Promise<Opened> {
  let handle: FileHandle | undefined;
  try {
    // Opening alone can do harm: a tape rewinds, a pipe waits for its other end.
    refuseOthers(path, await stat(path));
    handle = await opener(path);
    const stats = await handle.stat();
    refuseOthers(path, stats);
    return { handle, facts: await factsOf(handle, stats) };
  } catch (error) {
    await handle?.close();
    throw error instanceof QsnapError ? error : openFailed(path, error);
  }
}

/** @throws QsnapError NOT_A_FILE for what is neither a file nor a block device. */
export function refuseOthers(path: string, stats: StatsBase<number | bigint>): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  const kind = stats.isDirectory()
    ? 'a directory'
    : stats.isFIFO()
      ? 'a pipe'
      : stats.isSocket()
        ? 'a socket'
        : 'a character device';
  const message = `${printableText(path)} is ${kind}, not a file`;
  throw new QsnapError('NOT_A_FILE', message, { file: path });
}

async function factsOf(handle: FileHandle, stats: Stats): Promise<FileFacts> {
  if (!stats.isBlockDevice()) return { fixedBytes: undefined };
  return { fixedBytes: await blockDeviceSize(fileCalls(handle), stats.rdev) };
}
