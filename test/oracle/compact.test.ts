/**
 * Images with a history, made compact: QEMU finds the new image clean, and reads from each of its disks what it reads
 * from the old one. A compact image is made compact again without a change.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { findSnapshot, planApply, planCreate, planResize } from '../../src/index.js';
import { isQsnapError } from '../../src/errors.js';
import type { CompactOptions } from '../../src/make/compact/compact-options.js';
import { compactFile } from '../support/compacted.js';
import { memoryDirectory } from '../support/directories.js';
import {
  CLUSTER_BYTES,
  coveringOptions,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import {
  edit,
  expectSameDisk,
  expectSameSnapshots,
  expectSound,
  guest,
  guestCommands,
  makeTwins,
  onImage,
  type Twins,
} from '../support/model-twin.js';
import { describeWithQemu } from '../support/qemu.js';

const seed = seedOf();
const rounds = roundsOf(3);
const passphrase = new TextEncoder().encode('open sesame');

describeWithQemu('a compact image', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  // QEMU takes long for each image with LUKS: fixtures have some.
  const chosen = coveringOptions(randomFrom(seed), rounds, ({ encryption }) => {
    return encryption !== 'luks' || rounds > 5;
  });
  for (const [i, options] of chosen.entries()) {
    test(`${i}: ${nameOfOptions(options)}`, () => compacted(options, randomFrom(seed + i)));
  }
});

async function compacted(options: ImageOptions, random: Random): Promise<void> {
  const twins = await makeTwins(memoryDirectory(), options, random);
  const ids = await useImage(twins, random);
  copyFileSync(twins.ours, twins.theirs);
  const wanted = wantedOf(options, random);
  const report = await compactFile(twins.theirs, twins.ours, () => wanted);
  expect(report.disks).toHaveLength(ids.length + 1);
  await expectSound(twins, twins.ours);
  await expectSameDisk(twins);
  await expectSameSnapshots(twins, ids);
  expect(await snapshotsOf(twins, twins.ours)).toEqual(await snapshotsOf(twins, twins.theirs));
  if (wanted.refcountBits === undefined && wanted.clusterBytes === undefined) {
    expect(statSync(twins.ours).size).toBeLessThanOrEqual(statSync(twins.theirs).size);
  }
  const again = path.join(twins.directory, 'again.qcow2');
  await compactFile(twins.ours, again, () => wanted);
  if (options.encryption === 'luks') expect(statSync(again).size).toBe(statSync(twins.ours).size);
  else expect(readFileSync(again).equals(readFileSync(twins.ours))).toBe(true);
}

function wantedOf(options: ImageOptions, random: Random): Partial<CompactOptions> {
  const isPlain = options.encryption === 'none';
  return {
    passphrase,
    ...otherOf(options, random),
    ...(isPlain && { dropZeros: random.chance(0.5), dedupe: random.chance(0.5) }),
    ...(isPlain &&
      random.chance(0.3) && {
        compress: options.compat === '0.10' ? 'zlib' : random.pick(['zlib', 'zstd'] as const),
      }),
  };
}

/** Other clusters, refcounts or another version, where the image can have them. */
function otherOf(options: ImageOptions, random: Random): Partial<CompactOptions> {
  if (random.chance(0.4)) return {};
  const other: Partial<CompactOptions> = {
    version: options.compat === '0.10' && random.chance(0.5) ? 3 : undefined,
  };
  if (options.encryption === 'aes') return other;
  const isV3 = options.compat === '1.1' || other.version === 3;
  // Over a backing file larger units may have a part that only that has.
  const sizes = [512, 4096, 65536, 2 ** 21].filter((bytes) => {
    return !options.backing || (bytes <= CLUSTER_BYTES[options.cluster] && !options.extendedL2);
  });
  const clusterBytes = sizes.length === 0 ? undefined : random.pick(sizes);
  const bytes = clusterBytes ?? CLUSTER_BYTES[options.cluster];
  const isExtended = isV3 && bytes >= 16384 && random.chance(0.5);
  return {
    ...other,
    clusterBytes,
    extendedL2: options.backing ? undefined : isExtended,
    ...(isV3 && { refcountBits: random.pick([8, 16, 32, 64] as const) }),
  };
}

/** A history with snapshots. Returns their ids. */
async function useImage(twins: Twins, random: Random): Promise<readonly string[]> {
  const { options, ours, theirs } = twins;
  let diskBytes = diskBytesOf(options);
  const taken: { readonly id: string; readonly bytes: number }[] = [];
  const tried = async (change: () => Promise<void>): Promise<void> => {
    try {
      await change();
    } catch (error) {
      // What the engine refuses is no part of the history.
      if (!isQsnapError(error)) throw error;
    }
  };
  for (let step = 0; step < 7; step++) {
    await guest(twins, guestCommands(random, options, diskBytes));
    copyFileSync(ours, theirs);
    await tried(async () => {
      const id = String(taken.length + 1);
      await edit(ours, (image) => planCreate(image, { name: id, id, date, icount: 7n }));
      taken.push({ id, bytes: diskBytes });
    });
    if (random.chance(0.3) && taken.length > 0) {
      const { id, bytes } = random.pick(taken);
      await tried(async () => {
        const discardChanges = true;
        await edit(ours, (image) =>
          planApply(image, findSnapshot(image.snapshots, `id:${id}`), { discardChanges }),
        );
        diskBytes = bytes;
      });
    }
    // QEMU may be unable to apply a snapshot with narrow refcounts, and exports it with another size.
    if (options.refcountBits > 4 && random.chance(0.2)) {
      await tried(async () => {
        const diskSizeBytes = diskBytes + 512 * random.below(3000);
        await edit(ours, (image) => planResize(image, { diskSizeBytes }));
        diskBytes = diskSizeBytes;
      });
    }
    copyFileSync(ours, theirs);
  }
  return taken.map(({ id }) => id);
}

const date = { seconds: 1_700_000_000, nanoseconds: 5 };

async function snapshotsOf(twins: Twins, file: string): Promise<unknown> {
  const { stdout } = await onImage(twins, file, ['info', '--output=json']);
  return (JSON.parse(stdout) as { snapshots?: unknown }).snapshots;
}
