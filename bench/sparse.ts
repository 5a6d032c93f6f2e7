/** Raw disks that are almost all hole, as those of new guests are. */
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { settle } from './images.js';
import { qemuImg, qsnapImg, seconds, type Command, type Duel } from './timing.js';

const MiB = 2 ** 20;
const DATA_MIB = 8;

/** What is measured, and of a disk of which size. */
export interface SparseDuel {
  readonly name: string;
  readonly size: string;
  readonly duel: Duel;
}

/** What reads a whole disk, once by each program, of a disk of `sizeGiB` GiB with 8 MiB of data. */
export function sparseDuels(folder: string, size: string, sizeGiB: number): SparseDuel[] {
  const [disk, other] = ['a', 'b'].map((name) => sparseRaw(folder, `${name}-${size}.raw`, sizeGiB));
  const out = join(folder, `out-${size}`);
  const raw = ['-f', 'raw'];
  const afresh = (command: Command): number => {
    rmSync(out, { force: true });
    settle();
    return seconds(command);
  };
  const lines: readonly (readonly string[])[] = [
    ['map', '--output=json', ...raw, disk!],
    ['measure', '-O', 'qcow2', ...raw, disk!],
    ['compare', ...raw, '-F', 'raw', disk!, other!],
    ['convert', '-O', 'qcow2', '-t', 'writeback', ...raw, disk!, out],
    ['convert', '-O', 'raw', '-t', 'writeback', ...raw, disk!, out],
  ];
  return lines.map((words) => {
    const [command, , format] = words;
    const name = command === 'convert' ? `convert to ${format!}` : command!;
    const ours = (): number => afresh(qsnapImg(...words));
    const theirs = (): number => afresh(qemuImg(...words));
    return { name, size, duel: { ours, theirs } };
  });
}

/** The same data in each, so that both are compared to their ends. */
const DATA = randomBytes(DATA_MIB * MiB);

function sparseRaw(folder: string, name: string, sizeGiB: number): string {
  const file = join(folder, name);
  const fd = openSync(file, 'w');
  ftruncateSync(fd, sizeGiB * 1024 * MiB);
  const stepBytes = (sizeGiB / DATA_MIB) * 1024 * MiB;
  for (let i = 0; i < DATA_MIB; i++) writeSync(fd, DATA, i * MiB, MiB, i * stepBytes);
  closeSync(fd);
  return file;
}
