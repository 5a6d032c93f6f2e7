/** How a file that is complete gets its name, and how that name gets to the medium. */
import { hinted } from '../../base/hints.js';
import { constants, promises } from 'node:fs';
import path from 'node:path';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { closeQuietly, openCalls, type FileCalls } from './file-calls.js';
import { identityAtOnce, identityOfName, removeOwnName } from './identity.js';
import { systemCodeOf } from './system-error.js';

/** The system's calls about names, as an interface: tests put a file system without links behind it. */
export interface NameCalls {
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Opens a folder, to bring its names to the medium. */
  openFolder(folder: string): Promise<Pick<FileCalls, 'sync' | 'close'>>;
}

const SYSTEM: NameCalls = {
  link: (from, to) => promises.link(from, to),
  rename: (from, to) => promises.rename(from, to),
  openFolder: (folder) => openCalls(folder, constants.O_RDONLY),
};

/** How file systems without hard links say so: FAT, and several of those behind a network. */
const NO_LINKS: ReadonlySet<string> = new Set([
  'EACCES',
  'EMLINK',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EPERM',
]);

/** How systems say that folders are not brought to the medium by a call. */
const NO_FOLDER_SYNC: ReadonlySet<string> = new Set([
  'EBADF',
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EPERM',
]);

/**
 * Gives a file another name, and never replaces a file that has this name already: the system makes no hard link over
 * an existing name.
 *
 * On a file system without hard links an empty file takes the name first, which the system makes only if the name is
 * free. Then the file replaces the empty one. A power cut between the two leaves the empty file.
 *
 * @param identity of the file.
 * @throws QsnapError OUTPUT_EXISTS where something has the name; the system's error.
 */
export async function giveFreeName(
  from: string,
  to: string,
  identity: string,
  calls = SYSTEM,
): Promise<void> {
  try {
    await calls.link(from, to);
  } catch (error) {
    const code = systemCodeOf(error) ?? '';
    if (NO_LINKS.has(code)) {
      await replaceReserved(from, to, calls);
      return;
    }
    // Behind a network a call that was sent twice can meet its own work.
    if (code !== 'EEXIST') throw error;
    if (identityOfName(to) !== identity) throw nameTaken(to, error);
  }
  // A second name that stays is removed by the next file that is made here.
  removeOwnName(from, identity);
}

async function replaceReserved(from: string, to: string, calls: NameCalls): Promise<void> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  const reserved = await openCalls(to, flags, 0o600).catch((error: unknown) => {
    throw systemCodeOf(error) === 'EEXIST' ? nameTaken(to, error) : error;
  });
  try {
    const identity = identityAtOnce(reserved.fd);
    try {
      const isOurs = identityOfName(to) === identity && (await reserved.stat()).size === 0;
      if (!isOurs) throw nameTaken(to);
      await calls.rename(from, to);
    } catch (error) {
      if ((await reserved.stat()).size === 0) removeOwnName(to, identity);
      throw error;
    }
  } finally {
    await closeQuietly(reserved);
  }
}

function nameTaken(file: string, cause?: unknown): QsnapError {
  const message = `${printableText(file)} exists already: it was made meanwhile`;
  return new QsnapError('OUTPUT_EXISTS', message, { file, ...hinted('replace-file') }, cause);
}

/** Gives a file another name, and replaces a file that has this name. */
export function giveName(from: string, to: string): Promise<void> {
  return SYSTEM.rename(from, to);
}

/**
 * Makes the name of a file durable by flushing its folder. Some systems can't flush a folder, and a folder that may not
 * be listed can't be opened. Then the file itself is flushed, with its metadata; file systems with a journal take its
 * name along.
 *
 * @param file whose calls stay open.
 * @throws the system's error where the medium did not take it.
 */
export async function syncName(
  name: string,
  file: Pick<FileCalls, 'sync'>,
  calls = SYSTEM,
): Promise<void> {
  let folder;
  try {
    folder = await calls.openFolder(path.dirname(name));
  } catch {
    await file.sync();
    return;
  }
  try {
    await folder.sync();
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(systemCodeOf(error) ?? '')) throw error;
    await file.sync();
  } finally {
    await closeQuietly(folder);
  }
}

/**
 * Removes the name of a file, and makes that durable as far as the system can flush a folder.
 *
 * @throws the system's error; none where nothing has the name.
 */
export async function removeName(name: string, calls = SYSTEM): Promise<void> {
  await promises.rm(name, { force: true });
  let folder;
  try {
    folder = await calls.openFolder(path.dirname(name));
  } catch {
    return;
  }
  try {
    await folder.sync();
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(systemCodeOf(error) ?? '')) throw error;
  } finally {
    await closeQuietly(folder);
  }
}
