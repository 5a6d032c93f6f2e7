/** The images that are measured. Both programs get their own copy. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { qemuImg, seconds, type Command } from './timing.js';

/** All clusters of the disk mapped, none with data. */
export function mapped(folder: string, who: string, size: string): string {
  const image = join(folder, `${who}-${size}.qcow2`);
  seconds(qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', image, size));
  settle();
  return image;
}

/** The same bytes under another name, holes kept. */
export function copyOf(image: string, name: string): string {
  const copy = join(image, '..', name);
  seconds(['cp', '--sparse=always', image, copy]);
  settle();
  return copy;
}

/** What was written before is on the medium: whoever flushes next does not wait for another's writes. */
export function settle(): void {
  seconds(['sync']);
}

/** A disk with `mib` MiB of data that packs to about a half, and one snapshot of it. */
export function filled(folder: string, mib: number): string {
  const raw = join(folder, 'data.raw');
  const image = join(folder, `data-${mib}.qcow2`);
  const file = openSync(raw, 'w');
  // Random digits: half of each byte is chance.
  for (let i = 0; i < mib; i++) writeSync(file, randomBytes(2 ** 19).toString('hex'));
  closeSync(file);
  seconds(qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, image));
  seconds(qemuImg('snapshot', '-c', 'data', image));
  seconds(['rm', raw]);
  return image;
}

/** A disk whose tables lie all over the file: a snapshot after every so many writes at random places. */
export interface Fragmented {
  readonly diskGiB: number;
  readonly snapshots: number;
  readonly writes: number;
}

export function fragmented(folder: string, { diskGiB, snapshots, writes }: Fragmented): string {
  const image = join(folder, 'fragmented.qcow2');
  seconds(qemuImg('create', '-q', '-f', 'qcow2', image, `${diskGiB}G`));
  const clusters = diskGiB * 2 ** 14;
  let state = 1;
  const random = (end: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
  for (let i = 0; i < snapshots; i++) {
    const lines = Array.from({ length: writes }, () => `write -q ${random(clusters) * 65_536} 64k`);
    run(['qemu-io', '-t', 'unsafe', image], `${lines.join('\n')}\n`);
    seconds(qemuImg('snapshot', '-c', `s${i}`, image));
  }
  return image;
}

function run(command: Command, input?: string): void {
  const { status, stderr } = spawnSync(command[0]!, command.slice(1), {
    encoding: 'utf8',
    ...(input !== undefined && { input }),
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
}
