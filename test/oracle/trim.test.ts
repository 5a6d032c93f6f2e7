/**
 * Images with a history of QEMU's, of which snapshots were deleted: trimmed, and moved to the front. QEMU finds them
 * clean and reads from each disk what it reads from an untouched copy; a guest writes on.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { statSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { measureUsage, openImage, trimImage, type TrimReport } from '../../src/index.js';
import { openFile, openFileForEdit } from '../../src/node/index.js';
import { memoryDirectory } from '../support/directories.js';
import { history, isWide } from '../support/model-history.js';
import {
  coveringOptions,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import {
  expectSameDisk,
  expectSameSnapshots,
  expectSound,
  guest,
  guestCommands,
  makeTwins,
} from '../support/model-twin.js';
import { describeWithQemu } from '../support/qemu.js';

const seed = seedOf();
const rounds = roundsOf(3);
const total = { images: 0, moving: 0, movedBytes: 0, shortenedBytes: 0 };

async function trimFile(file: string, relocate: boolean, stepBytes: number): Promise<TrimReport> {
  const device = await openFileForEdit(file);
  try {
    return await trimImage(device, { relocate, stepBytes, verify: true });
  } finally {
    await device.close();
  }
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
