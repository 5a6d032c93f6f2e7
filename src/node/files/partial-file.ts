/** The temporary name of a new file while it is written, and a file of that name that an earlier output left. */
import { constants, promises } from 'node:fs';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { BlockDevice } from '../../io/device.js';
import { refuseOthers } from './file.js';
import { closeQuietly, openCalls, type FileCalls } from './file-calls.js';
import { FileDevice } from './file-device.js';
import { identityAtOnce, identityOf, identityOfName, removeOwnName } from './identity.js';
import { lockForEdit } from './lock.js';
import { makeFailed, openFailed, systemCodeOf } from './system-error.js';

/** A file that is not complete. */
export interface PartialFile {
  readonly device: BlockDevice;
  readonly calls: FileCalls;
  readonly identity: string;
}

/**
 * Removes the file that an interrupted output left, unless that output still goes on. A file with a second name is
 * whole: the output was interrupted between getting its name and losing the temporary one. Then only the temporary name
 * is removed, whoever uses the file by now.
 *
 * @returns whether half an output was removed.
 * @throws QsnapError IMAGE_IN_USE, NOT_A_FILE, OPEN_FAILED; the system's error.
 */
export async function removeLeftover(partial: string): Promise<boolean> {
  let calls;
  try {
    const stats = await promises.lstat(partial, { bigint: true });
    if (stats.isFile() && Number(stats.nlink) > 1) {
      removeOwnName(partial, identityOf(stats));
      return false;
    }
    calls = await openCalls(
      partial,
      constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw openFailed(partial, error);
  }
  try {
    refuseOthers(partial, await calls.stat());
    await lockForEdit(calls.fd, partial);
    // Until the lock was taken, the output that it is could get its name, and end.
    if (identityOfName(partial) !== identityAtOnce(calls.fd)) return false;
    await promises.rm(partial, { force: true });
    return true;
  } finally {
    await closeQuietly(calls);
  }
}

/**
 * Makes the file under its temporary name, locked as an image that is written to. If that fails there is none.
 *
 * @param mode permission bits, of which the umask takes its part.
 * @throws QsnapError OPEN_FAILED, IMAGE_IN_USE.
 */
export async function createPartial(partial: string, mode: number): Promise<PartialFile> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  const calls = await openCalls(partial, flags, mode & 0o666).catch((error: unknown) => {
    throw systemCodeOf(error) === 'EEXIST'
      ? openFailed(partial, error)
      : makeFailed(partial, error);
  });
  let identity: string | undefined;
  try {
    identity = identityAtOnce(calls.fd);
    await lockForEdit(calls.fd, partial);
    // Until the lock was taken, somebody could take it for half an output, and begin another.
    if (identityOfName(partial) !== identity) throw partialTaken(partial);
    return { device: new FileDevice(partial, calls, { fixedBytes: undefined }), calls, identity };
  } catch (error) {
    if (identity !== undefined) removeOwnName(partial, identity);
    await closeQuietly(calls);
    throw error;
  }
}

function partialTaken(partial: string): QsnapError {
  const message = `${printableText(partial)} is in use by another program`;
  const hint = 'wait for the other output of this name';
  return new QsnapError('IMAGE_IN_USE', message, { file: partial, hint });
}
