/**
 * `convert` to images with subclusters, on seeded disks: which of them have a place must be what QEMU
 * makes of it. QSNAP_SEED and QSNAP_ROUNDS repeat a run.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import { memoryDirectory } from '../support/directories.js';
import { createImage, makeImage } from '../support/made-images.js';
import {
  describeWithQemu,
  expectClean,
  expectIdentical,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { editBoth, madeByBoth } from './parity.js';

const seed = seedOf();
const SECTOR = 512;

/** What a copy has holes for is its own affair; QEMU's map would tell some of them. */
const withoutHoles = (file: string): void => {
  writeFileSync(file, readFileSync(file));
};

/** A stretch in sectors, of any length up to some clusters, often at a boundary of something. */
function stretch(random: Random, diskBytes: number, clusterBytes: number): [string, string] {
  const grain = random.pick([SECTOR, 4096, clusterBytes / 32, clusterBytes]);
  const at = random.below(Math.ceil(diskBytes / grain)) * grain;
  const most = random.pick([4096, clusterBytes / 16, clusterBytes, 3 * clusterBytes]);
  const step = random.pick([SECTOR, grain]);
  const length = Math.min(diskBytes - at, (1 + random.below(Math.ceil(most / step))) * step);
  return [String(at), String(length)];
}

function writes(random: Random, count: number, diskBytes: number, clusterBytes: number): string[] {
  return Array.from({ length: count }, () => {
    const kind = random.pick(['write -P 7', 'write -P 1', 'write -P 0', 'write -z', 'discard']);
    return [kind, ...stretch(random, diskBytes, clusterBytes)].join(' ');
  });
}

interface Disk {
  readonly diskBytes: number;
  /** Of the new image: what is written in the disk should have to do with it. */
  readonly clusterBytes: number;
}

interface Source extends Disk {
  /** Options that give it a backing file. */
  readonly over?: readonly string[];
  readonly packed?: boolean;
}

async function makeQcow2(
  random: Random,
  directory: string,
  name: string,
  { diskBytes, clusterBytes, over, packed }: Source,
): Promise<void> {
  const extended = random.chance(0.4);
  // Compressed over a backing file, 512 bytes make a difference of their own.
  const least = over === undefined || !packed ? 512 : 4096;
  const bytes = random.pick([extended ? 16384 : least, 65536, clusterBytes]);
  const options = `cluster_size=${bytes},extended_l2=${extended ? 'on' : 'off'}`;
  const create = ['create', '-q', '-f', 'qcow2', '-o', options, ...(over ?? []), name];
  await qemuImg([...create, String(diskBytes)], { cwd: directory });
  const file = path.join(directory, name);
  await qemuIo(file, writes(random, 3 + random.below(12), diskBytes, clusterBytes));
}

/** Raw by way of qemu-io, or with an end inside a sector. */
async function makeRaw(random: Random, directory: string, name: string, disk: Disk) {
  const file = path.join(directory, name);
  const { diskBytes, clusterBytes } = disk;
  writeFileSync(file, random.chance(0.5) ? Buffer.alloc(diskBytes) : '');
  truncateSync(file, diskBytes);
  const commands = writes(random, 3 + random.below(12), diskBytes, clusterBytes);
  await qemuIo(file, commands, { format: 'raw' });
  if (random.chance(0.2)) appendFileSync(file, Buffer.alloc(100, 1));
}

/** Makes the files of a round and returns its command line. */
async function makeRound(random: Random, directory: string): Promise<string[]> {
  const clusterBytes = random.pick([16384, 65536, 2 ** 21]);
  const sectors = Math.floor((clusterBytes * (1 + random.below(10))) / SECTOR) + random.below(40);
  const disk = { diskBytes: sectors * SECTOR, clusterBytes };
  const kind = random.pick(['raw', 'qcow2', 'over', 'over', 'existing'] as const);
  const args = ['convert', '-O', 'qcow2', ...random.pick(RUNS)];
  const packed = random.chance(0.1);
  if (packed) args.push('-c');
  if (kind === 'raw' || (kind === 'existing' && random.chance(0.5))) {
    await makeRaw(random, directory, 'source', disk);
    args.push('-f', 'raw');
  } else if (kind === 'over') {
    const isRaw = random.chance(0.3);
    const format = isRaw ? 'raw' : 'qcow2';
    const belowBytes = random.chance(0.3) ? Math.ceil(sectors * 0.6) * SECTOR : disk.diskBytes;
    const below = { diskBytes: belowBytes, clusterBytes };
    if (isRaw) await makeRaw(random, directory, 'below', below);
    else await makeQcow2(random, directory, 'below', below);
    const over = ['-b', 'below', '-F', format];
    await makeQcow2(random, directory, 'source', { ...disk, over, packed });
    args.push('-B', 'below', '-F', format);
  } else {
    await makeQcow2(random, directory, 'source', disk);
  }
  const options = `extended_l2=on,cluster_size=${clusterBytes}`;
  if (kind !== 'existing') return [...args, '-o', options, 'source', 'out'];
  // With -c QEMU fails where the source ends inside a cluster of a longer disk.
  const extra = packed ? 0 : random.pick([SECTOR, clusterBytes / 2, 2 * clusterBytes]);
  const create = ['create', '-q', '-f', 'qcow2', '-o', options, 'out'];
  await qemuImg([...create, String(disk.diskBytes + extra)], { cwd: directory });
  const blank = random.chance(0.3) ? ['--target-is-zero'] : [];
  return [...args, '-n', ...blank, 'source', 'out'];
}

const RUNS = [[], ['-S', '0'], ['-S', '4k'], ['-S', '64k'], ['-S', '512'], ['-S', '12k']] as const;

interface MapEntry {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  offset?: number;
}

/** All ranges; neighbours that only their places in the file hold apart are one. */
async function mapOf(image: string): Promise<MapEntry[]> {
  withoutHoles(image);
  const { stdout } = await qemuImg(['map', '--output=json', image]);
  const joined: MapEntry[] = [];
  const kind = ({ depth, present, zero, data }: MapEntry) => [depth, present, zero, data].join();
  for (const { offset: _, ...entry } of JSON.parse(stdout) as MapEntry[]) {
    const last = joined.at(-1);
    if (last !== undefined && kind(last) === kind(entry)) last.length += entry.length;
    else joined.push(entry);
  }
  return joined;
}

describeWithQemu(`convert to subclusters (seed ${seed})`, () => {
  test.each(Array.from({ length: roundsOf(4) }, (_, round) => ({ round })))(
    'round $round',
    async ({ round }) => {
      const template = memoryDirectory();
      const argv = await makeRound(randomFrom(seed + 1000 * round), template);
      const pair = await editBoth(argv, memoryDirectory(), (directory) => {
        // Node's own copies have no holes.
        execFileSync('cp', ['-R', '--sparse=auto', `${template}/.`, directory]);
      });
      expect(pair.ours, argv.join(' ')).toEqual(pair.qemu);
      expect(pair.ours.code).toBe(0);
      const [theirs, ours] = madeByBoth(pair, 'out');
      await expectClean(ours);
      await expectIdentical(theirs, ours);
      expect(await mapOf(ours), argv.join(' ')).toEqual(await mapOf(theirs));
    },
    60_000,
  );

  test('with -c QEMU copies the backing file, too, where tables are looked at in short pieces', async () => {
    const pair = await editBoth(
      ['convert', '-c', '-O', 'qcow2', '-B', 'below', '-F', 'qcow2', 'source', 'out'],
      memoryDirectory(),
      async (cwd) => {
        await makeImage(path.join(cwd, 'below'), '1M', '', 'write -P 3 128k 64k');
        const over = ['-b', 'below', '-F', 'qcow2'];
        const options = ['-o', 'cluster_size=512'];
        await createImage([...options, ...over, 'source'], cwd);
      },
    );
    expect(pair.ours).toEqual(pair.qemu);
    const [theirs, ours] = madeByBoth(pair, 'out');
    expect((await mapOf(theirs)).every(({ depth }) => depth === 0)).toBe(true);
    expect((await mapOf(ours)).every(({ depth }) => depth === 1)).toBe(true);
    await expectIdentical(theirs, ours);
  });
});
