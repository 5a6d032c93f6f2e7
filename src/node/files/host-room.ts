/** How much longer the system would let a file become, as far as it says. */
import { readFile, statfs } from 'node:fs';
import { promisify } from 'node:util';

/**
 * What is free on the file system and what the limit of this process for files (RLIMIT_FSIZE) leaves,
 * whichever is less. The largest file of the file system and quotas are not known.
 *
 * @returns undefined where the system says neither.
 */
export async function hostRoomBytes(path: string, sizeBytes: number): Promise<number | undefined> {
  const known = await Promise.all([hostFreeBytes(path), limitBytes()]);
  const [free, limit] = known;
  const room = Math.min(free ?? Infinity, limit === undefined ? Infinity : limit - sizeBytes);
  return Number.isFinite(room) ? Math.max(0, room) : undefined;
}

/** What is free on the file system of a path; undefined where it does not say. */
export async function hostFreeBytes(path: string): Promise<number | undefined> {
  try {
    const { blocks, bfree, bavail, bsize } = await promisify(statfs)(path);
    // Some file systems that are not on a disk say nothing by zeros.
    if (blocks === 0) return undefined;
    return (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
  } catch {
    return undefined;
  }
}

/** Linux: the soft limit, in bytes. */
async function limitBytes(): Promise<number | undefined> {
  try {
    return softFileLimit(await promisify(readFile)('/proc/self/limits', 'latin1'));
  } catch {
    return undefined;
  }
}

/** The soft limit for files in the text of `/proc/PID/limits`; undefined: none. */
export function softFileLimit(limits: string): number | undefined {
  const [, soft] = /^Max file size +(\d+) /m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}
