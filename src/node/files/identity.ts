/** Which file of the host it is, whatever name leads to it. */
import { fstat, fstatSync, lstatSync, stat, unlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { printableText } from '../../base/text.js';
import { readFailed, systemCodeOf } from './system-error.js';

/** What the system knows of an open file, with numbers that are exact. */
export const statOf = (fd: number): Promise<BigIntStats> => promisify(fstat)(fd, { bigint: true });

/**
 * A text that identifies a file, whatever name it was opened by: its device and inode number, which have up to 64 bits.
 * For a block device it is the number of the device, since several device files may lead to it.
 */
export function identityOf(stats: BigIntStats): string {
  return stats.isBlockDevice() ? `device ${stats.rdev}` : `${stats.dev}:${stats.ino}`;
}

/** When a file was written, changed and made, exactly; a host that does not know when it was made leaves that out. */
export interface FileDates {
  readonly modified: FileDate;
  readonly changed: FileDate;
  readonly born: FileDate | undefined;
}

/** Seconds since the Epoch, below 0 before it, and nanoseconds from there on. */
export interface FileDate {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export function datesOf({ mtimeNs, ctimeNs, birthtimeNs }: BigIntStats): FileDates {
  return {
    modified: dateOf(mtimeNs),
    changed: dateOf(ctimeNs),
    born: birthtimeNs === 0n ? undefined : dateOf(birthtimeNs),
  };
}

function dateOf(sinceEpoch: bigint): FileDate {
  const nanoseconds = Number(((sinceEpoch % NANOSECONDS) + NANOSECONDS) % NANOSECONDS);
  return { seconds: Number((sinceEpoch - BigInt(nanoseconds)) / NANOSECONDS), nanoseconds };
}

const NANOSECONDS = 1_000_000_000n;

/**
 * The identity of the file that a path leads to now.
 *
 * ```ts
 * const same = (await fileIdentity('disk.qcow2')) === (await fileIdentity('link-to-disk.qcow2'));
 * ```
 *
 * @returns undefined where it leads to nothing, or nobody may look.
 */
export async function fileIdentity(path: string): Promise<string | undefined> {
  try {
    return identityOf(await promisify(stat)(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

/** The identity of an open file, at once. */
export function identityAtOnce(fd: number): string {
  return identityOf(fstatSync(fd, { bigint: true }));
}

/** The identity of what has a name itself, be it a link; undefined where nothing has. */
export function identityOfName(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && identityOf(stats);
}

/**
 * Whether a path leads to the file that is open.
 *
 * @param label what people call it.
 * @throws QsnapError READ_FAILED where nobody can tell.
 */
export async function leadsTo(path: string, fd: number, label = path): Promise<boolean> {
  try {
    const [named, opened] = await Promise.all([
      promisify(stat)(path, { bigint: true }),
      statOf(fd),
    ]);
    return identityOf(named) === identityOf(opened);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw readFailed(label, `look whether ${printableText(label)} still is the same file`, error);
  }
}

/**
 * Removes the name of a file that was not finished, unless another file has that name by now. A failure is not
 * reported: the caller already has the error that counts.
 *
 * @param identity of the file that is meant.
 */
export function removeOwnName(path: string, identity: string): void {
  try {
    if (identityOfName(path) === identity) unlinkSync(path);
  } catch {
    // It stays.
  }
}
