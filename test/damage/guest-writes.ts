/** A guest that goes on writing to a repaired disk, through qemu-io. */
import type { Random } from '../support/mutate.js';
import type { GuestWrite } from './judge.js';
import { runLimited, type ToolRun } from './qemu-tools.js';

export const GUEST_WRITES = 200;
const SECTOR = 512;
const LONGEST_BYTES = 64 * 1024;

/** Writes all over the disk: half of them in its first part, where most data is. */
export function guestWrites(random: Random, diskSizeBytes: number): readonly GuestWrite[] {
  return Array.from({ length: GUEST_WRITES }, (_, i) => {
    const bytes = SECTOR * (1 + random(LONGEST_BYTES / SECTOR));
    const end = i % 2 === 0 ? diskSizeBytes : Math.min(diskSizeBytes, 2 ** 24);
    return { at: SECTOR * random(Math.floor((end - bytes) / SECTOR)), bytes };
  });
}

/** One qemu-io process for all of them; some may fail, which is no harm. */
export function writeAsGuest(path: string, writes: readonly GuestWrite[]): Promise<ToolRun> {
  const commands = writes.flatMap(({ at, bytes }, i) => [
    '-c',
    `write -q -P ${1 + (i % 255)} ${at} ${bytes}`,
  ]);
  return runLimited('qemu-io', ['-f', 'qcow2', ...commands, path]);
}
