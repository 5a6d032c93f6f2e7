/** File systems of a few MiB in memory, for tests that run as root on Linux. */
import { spawnSync } from 'node:child_process';
import { temporaryDirectory } from './directories.js';
import { leaveOut } from './left-out.js';

/**
 * Hands the folder of a new file system of so many bytes to `use`. Where there is none to be had, that
 * is said.
 *
 * @returns undefined where there is none.
 */
export async function withSmallFileSystem<Result>(
  bytes: number,
  use: (folder: string) => Promise<Result>,
): Promise<Result | undefined> {
  const folder = temporaryDirectory();
  const argv = ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder];
  const ran = spawnSync('mount', argv, { encoding: 'utf8' });
  if (ran.status !== 0) {
    leaveOut(`what needs a small file system: ${ran.error?.message ?? ran.stderr.trim()}`);
    return undefined;
  }
  try {
    return await use(folder);
  } finally {
    spawnSync('umount', [folder]);
  }
}
