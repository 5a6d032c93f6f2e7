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
 * Gives a file another name that nothing has. The system itself sees to that: it makes no hard link over
 * something.
 *
 * Where there are no hard links the name is taken by an empty file first, which is made only where
 * nothing has the name, and which the file then replaces. So a cut between the two leaves an empty file
 * with the name, and never replaces anybody's.
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

/** Gives a file another name, and takes it away from what has it. */
export function giveName(from: string, to: string): Promise<void> {
  return SYSTEM.rename(from, to);
}

/**
 * Makes sure that the name of a file stays, as far as the system lets one: a folder that may be written to
 * and not listed can't be opened for that, and some systems have no such call. Then the file itself is
 * brought to the medium, with all that is known of it; file systems with a journal take its name along.
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
