/**
 * Images with a history of QEMU's, of which snapshots were deleted: trimmed, and moved to the front. QEMU finds them
 * clean and reads from each disk what it reads from an untouched copy; a guest writes on.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { copyFileSync, statSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { measureUsage, openImage, trimImage, type TrimReport } from '../../src/index.js';
import { openFile, openFileForEdit } from '../../src/node/index.js';
import { memoryDirectory } from '../support/directories.js';
import {
  coveringOptions,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import {
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
const rounds = roundsOf(5);
const total = { images: 0, moving: 0, movedBytes: 0, shortenedBytes: 0 };

async function trimFile(file: string, relocate: boolean, stepBytes: number): Promise<TrimReport> {
  const device = await openFileForEdit(file);
  try {
    return await trimImage(device, { relocate, stepBytes, verify: true });
  } finally {
    await device.close();
  }
}

/** With narrow refcounts QEMU leaks what it can't count. */
const isWide = ({ refcountBits }: ImageOptions): boolean => refcountBits >= 8;

/** A history of which some snapshots are left. */
async function history(twins: Twins, random: Random): Promise<readonly string[]> {
  const { options, ours } = twins;
  let names: readonly string[] = [];
  for (let step = 0; step < 6; step++) {
    await guest(twins, guestCommands(random, options, diskBytesOf(options)));
    const name = `s${step}`;
    const { code } = await onImage(twins, ours, ['snapshot', '-c', name]);
    if (code === 0) names = [...names, name];
    copyFileSync(ours, twins.theirs);
  }
  const dropped = names.filter((_, i) => i % 2 === 0 || random.chance(0.3));
  for (const name of dropped) await onImage(twins, ours, ['snapshot', '-d', name]);
  copyFileSync(ours, twins.theirs);
  return names.filter((name) => !dropped.includes(name));
}

describeWithQemu('a trimmed image', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  const chosen = coveringOptions(randomFrom(seed), rounds, (options) => {
    return isWide(options) && (options.encryption !== 'luks' || rounds > 5);
  });
  test.each(chosen.map((options, i) => [i, nameOfOptions(options), options] as const))(
    '%i: %s',
    async (i, _, options: ImageOptions) => {
      const random = randomFrom(seed + i);
      const twins = await makeTwins(memoryDirectory(), options, random);
      const left = await history(twins, random);
      const relocate = options.encryption !== 'luks';
      const report = await trimFile(twins.ours, relocate, random.pick([1, 50_000, 2 ** 29]));
      expect(report.fileSizeBytes).toBe(statSync(twins.ours).size);
      expect(report.fileSizeBytes).toBeLessThanOrEqual(report.fileSizeBefore);
      await expectSound(twins, twins.ours);
      await expectSameDisk(twins);
      await expectSameSnapshots(twins, left);
      total.images += 1;
      total.moving += report.steps > 0 ? 1 : 0;
      total.movedBytes += report.movedBytes;
      total.shortenedBytes += report.fileSizeBefore - report.fileSizeBytes;
      await guest(twins, guestCommands(random, options, diskBytesOf(options)));
      await expectSound(twins, twins.ours);
      await expectSameDisk(twins);
      await expectSameSnapshots(twins, left);
    },
  );

  test('takes no more room than what is in use', async () => {
    const random = randomFrom(seed);
    const [options] = coveringOptions(random, 1, (one) => {
      return isWide(one) && one.encryption === 'none' && one.cluster === '4k';
    });
    const twins = await makeTwins(memoryDirectory(), options!, random);
    await history(twins, random);
    await trimFile(twins.ours, false, 1);
    const source = await openFile(twins.ours);
    const { space } = await measureUsage(await openImage(source));
    await source.close();
    const usedBytes = space.metadataBytes + space.dataBytes + space.leakedBytes;
    expect(statSync(twins.ours).blocks * 512).toBeLessThanOrEqual(usedBytes);
    await expectSound(twins, twins.ours);
  });

  afterAll(() => {
    console.log(JSON.stringify(total));
    expect(total.movedBytes).toBeGreaterThan(0);
  });
});
