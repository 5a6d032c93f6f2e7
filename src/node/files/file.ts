/** A file or a block device of the host, opened after a look at what it is. */
import { constants, stat } from 'node:fs';
import type { Stats, StatsBase } from 'node:fs';
import { promisify } from 'node:util';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { blockDeviceSize } from './block-size.js';
import { closeQuietly, openCalls, type NodeFileCalls } from './file-calls.js';
import { FileSource, type FileFacts } from './file-source.js';
import { openFailed, systemCodeOf } from './system-error.js';

/**
 * Opens a file or block device for reading only. Its bytes and its modification time stay as they
 * are, and its access time too where the system allows that.
 *
 * @param label what people call it: messages have that.
 * @throws QsnapError OPEN_FAILED with the system's error; NOT_A_FILE for directories, pipes,
 *   sockets and character devices, which are not even opened.
 */
export async function openFileSource(path: string, label = path): Promise<FileSource> {
  const { calls, facts } = await openChecked(path, label, openForReading);
  return new FileSource(label, calls, facts);
}

/** Should a pipe or terminal take the file's place after the check, opening it doesn't hang. */
export const SAFELY = constants.O_NONBLOCK | constants.O_NOCTTY;

async function openForReading(path: string): Promise<NodeFileCalls> {
  const flags = SAFELY | constants.O_RDONLY;
  try {
    return await openCalls(path, flags | constants.O_NOATIME);
  } catch (error) {
    // Only the owner may leave the access time alone.
    if (systemCodeOf(error) !== 'EPERM') throw error;
    return openCalls(path, flags);
  }
}

interface Opened {
  readonly calls: NodeFileCalls;
  readonly facts: FileFacts;
}

/**
 * Opens what is a file or block device, and nothing else.
 *
 * @param label what people call it.
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE; nothing is open then.
 */
export async function openChecked(
  path: string,
  label: string,
  opener: (path: string) => Promise<NodeFileCalls>,
): Promise<Opened> {
  // A URL would be opened, and be no path for what comes after that.
  if (typeof (path as unknown) !== 'string') throw new TypeError('the path of a file is a text');
  let calls: NodeFileCalls | undefined;
  try {
    // Opening alone can do harm: a tape rewinds, a pipe waits for its other end.
    refuseOthers(label, await promisify(stat)(path));
    calls = await opener(path);
    const stats = await calls.stat();
    refuseOthers(label, stats);
    return { calls, facts: await factsOf(calls, stats) };
  } catch (error) {
    await closeQuietly(calls);
    throw error instanceof QsnapError ? error : openFailed(label, error);
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

async function factsOf(calls: NodeFileCalls, stats: Stats): Promise<FileFacts> {
  if (!stats.isBlockDevice()) return { fixedBytes: undefined };
  return { fixedBytes: await blockDeviceSize(calls, stats.rdev) };
}
