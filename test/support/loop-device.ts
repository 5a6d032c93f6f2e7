/** Loop devices of Linux: real block devices, for tests that run as root. */
import { spawnSync } from 'node:child_process';
import { leaveOut } from './left-out.js';

/**
 * Hands a block device over a file to `use`. Where there is none to be had, that is said.
 *
 * @returns undefined where there is none.
 */
export async function withLoopDevice<Result>(
  file: string,
  options: readonly string[],
  use: (device: string) => Promise<Result>,
): Promise<Result | undefined> {
  const ran = spawnSync('losetup', [...options, '--find', '--show', file], { encoding: 'utf8' });
  if (ran.status !== 0) {
    leaveOut(`what needs a loop device: ${ran.error?.message ?? ran.stderr.trim()}`);
    return undefined;
  }
  const device = ran.stdout.trim();
  try {
    return await use(device);
  } finally {
    spawnSync('losetup', ['--detach', device]);
  }
}
