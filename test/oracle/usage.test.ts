/**
 * What disks cost, counted through QEMU: the host clusters of each disk by `qemu-img map`, sets by plain loops; and what
 * becomes free when QEMU deletes snapshots. QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { copyFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  executePlan,
  freedByDeleting,
  measureUsage,
  openImage,
  planDelete,
  type ImageUsage,
} from '../../src/index.js';
import { openFile, openFileForEdit } from '../../src/node/index.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import {
  CLUSTER_BYTES,
  coveringOptions,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import { guest, guestCommands, makeTwins } from '../support/model-twin.js';
import { describeWithQemu, expectClean, qemuImg, snapshotList } from '../support/qemu.js';

const seed = seedOf();
const rounds = roundsOf(3);

/** Host clusters that the active disk of a file maps, as QEMU tells. */
async function hostClusters(file: string, clusterBytes: number): Promise<ReadonlySet<number>> {
  const { stdout } = await qemuImg(['map', '--output=json', '-f', 'qcow2', file]);
  const clusters = new Set<number>();
  type Segment = { depth: number; offset?: number; length: number; start: number };
  for (const { depth, offset, length } of JSON.parse(stdout) as readonly Segment[]) {
    if (depth !== 0 || offset === undefined) continue;
    const last = Math.floor((offset + length - 1) / clusterBytes);
    for (let at = Math.floor(offset / clusterBytes); at <= last; at++) clusters.add(at);
  }
  return clusters;
}

/** The same of all disks: the active one, then each snapshot, applied on a copy. */
async function clustersOfDisks(file: string, clusterBytes: number): Promise<ReadonlySet<number>[]> {
  const disks = [await hostClusters(file, clusterBytes)];
  for (const { id } of await snapshotList(file)) {
    const copy = `${file}.copy`;
    copyFileSync(file, copy);
    await qemuImg(['snapshot', '-a', id, copy]);
    disks.push(await hostClusters(copy, clusterBytes));
  }
  return disks;
}

async function usageOf(file: string): Promise<ImageUsage> {
  const source = await openFile(file);
  try {
    return await measureUsage(await openImage(source));
  } finally {
    await source.close();
  }
}

const usedBytes = ({ space }: ImageUsage): number =>
  space.metadataBytes + space.dataBytes + space.leakedBytes;

async function history(options: ImageOptions, random: Random): Promise<string> {
  const twins = await makeTwins(memoryDirectory(), options, random);
  const { ours } = twins;
  const names: string[] = [];
  for (let step = 0; step < 6; step++) {
    // What QEMU tells of a compressed cluster is not where it lies.
    const commands = guestCommands(random, options, diskBytesOf(options));
    await guest(
      twins,
      commands.filter((command) => !/^write .*-c\b/.test(command)),
    );
    names.push(`s${step}`);
    await qemuImg(['snapshot', '-c', names.at(-1)!, ours]);
    if (random.chance(0.3)) await qemuImg(['snapshot', '-a', random.pick(names), ours]);
  }
  return ours;
}

const allowed = (options: ImageOptions): boolean =>
  options.encryption === 'none' && !options.bitmaps && options.refcountBits >= 8;

describeWithQemu('what disks cost, through QEMU', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  const all = coveringOptions(randomFrom(seed), rounds, allowed);
  test.each(all.map((options, i) => [i, nameOfOptions(options), options] as const))(
    '%i: %s',
    async (i, _, options) => {
      const random = randomFrom(seed + i);
      const file = await history(options, random);
      const clusterBytes = CLUSTER_BYTES[options.cluster];
      const disks = await clustersOfDisks(file, clusterBytes);
      const usage = await usageOf(file);
      for (const [disk, told] of [usage.active, ...usage.snapshots].entries()) {
        const clusters = [...disks[disk]!];
        const alone = clusters.filter((at) => disks.every((o, n) => n === disk || !o.has(at)));
        expect(told.mappedBytes, `disk ${disk}`).toBe(clusters.length * clusterBytes);
        expect(told.exclusiveBytes, `disk ${disk}`).toBe(alone.length * clusterBytes);
      }
      const chosen = usage.sharing.image.snapshots.filter(() => random.chance(0.5));
      for (const { name } of chosen) await qemuImg(['snapshot', '-d', name, file]);
      await expectClean(file);
      const { freedBytes } = freedByDeleting(usage, chosen);
      expect(usedBytes(usage) - usedBytes(await usageOf(file))).toBe(freedBytes);
    },
  );
});

describeWithQemu('taken on the host', () => {
  test('where holes are punched, the file takes less by what was foretold', async () => {
    // In memory: on disk a file system counts its own lists of extents, too.
    const file = path.join(memoryDirectory(), 'disk.qcow2');
    await makeImage(
      file,
      '8M',
      'cluster_size=4k,preallocation=full',
      ...['write -P 1 0 8M', 'snapshot one', 'write -P 2 1M 2M', 'snapshot two'],
      ...['write -P 3 2M 3M', 'snapshot three', 'write -P 4 0 1M'],
    );
    const before = statSync(file).blocks * 512;
    const usage = await usageOf(file);
    const chosen = usage.sharing.image.snapshots.slice(0, 2);
    const { freedBytes } = freedByDeleting(usage, chosen);
    const device = await openFileForEdit(file);
    await executePlan(await planDelete(await openImage(device), chosen));
    await device.close();
    await expectClean(file);
    expect(before - statSync(file).blocks * 512).toBe(freedBytes);
  });
});
