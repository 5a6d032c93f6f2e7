/** How much longer the system would let a file become, as far as it says. */
import { readFile, readlink, stat, statfs } from 'node:fs';
import { basename } from 'node:path';
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

/** What this process may fill of the file system of a path; undefined where it does not say. */
export async function hostFreeBytes(path: string): Promise<number | undefined> {
  try {
    const { type, blocks, bfree, bavail, bsize } = await promisify(statfs)(path);
    // Some file systems that are not on a disk say nothing by zeros.
    if (blocks === 0) return undefined;
    if (process.geteuid?.() !== 0) return bavail * bsize;
    return Math.max(0, bfree - (type === EXT4 ? await ext4OwnBlocks(path, blocks) : 0)) * bsize;
  } catch {
    return undefined;
  }
}

/** The type by which statfs tells of ext2, ext3 and ext4. */
const EXT4 = 0xef53;

/**
 * Blocks that ext4 keeps for its own tables: they count as free for root, but nobody can fill them. They are at most
 * 4096, and about a fiftieth of the file system.
 *
 * Source: Documentation/ABI/testing/sysfs-fs-ext4 of Linux (reserved_clusters).
 */
async function ext4OwnBlocks(path: string, blocks: number): Promise<number> {
  try {
    const { dev } = await promisify(stat)(path);
    const [major, minor] = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)];
    const device = await promisify(readlink)(`/sys/dev/block/${major}:${minor}`);
    const kept = `/sys/fs/ext4/${basename(device)}/reserved_clusters`;
    return Number(await promisify(readFile)(kept, 'latin1'));
  } catch {
    return Math.min(4096, Math.ceil(blocks / 50));
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
