/**
 * Images with a history of QEMU's, of which snapshots were deleted: scrubbed, with holes and without. QEMU finds them
 * clean and reads from each disk what it reads from an untouched copy; a guest writes on. What QEMU left of a deleted
 * snapshot is gone from the file.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { scrubImage, type ScrubReport } from '../../src/index.js';
import { openFileForEdit } from '../../src/node/index.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
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
import { describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';
import { scrubbedPlainly, withSecrets } from '../support/unreferenced.js';

const seed = seedOf();
const rounds = roundsOf(3);
const total = { images: 0, freeBytes: 0, tailBytes: 0, slackBytes: 0, punchedBytes: 0 };

async function scrubFile(file: string, punch: boolean): Promise<ScrubReport> {
  const device = await openFileForEdit(file);
  try {
    return await scrubImage(device, { punch, verify: true });
  } finally {
    await device.close();
  }
}

describeWithQemu('a scrubbed image', () => {
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
      // QEMU asks the host to punch what it frees; a host that does not leaves old bytes there.
      const before = withSecrets(readFileSync(twins.ours));
      writeFileSync(twins.ours, before);
      const report = await scrubFile(twins.ours, random.chance(0.5));
      expect(statSync(twins.ours).size).toBe(before.length);
      expect(Buffer.compare(readFileSync(twins.ours), scrubbedPlainly(before))).toBe(0);
      await expectSound(twins, twins.ours);
      await expectSameDisk(twins);
      await expectSameSnapshots(twins, left);
      total.images += 1;
      for (const part of ['freeBytes', 'tailBytes', 'slackBytes', 'punchedBytes'] as const) {
        total[part] += report[part];
      }
      await guest(twins, guestCommands(random, options, diskBytesOf(options)));
      await expectSound(twins, twins.ours);
      await expectSameDisk(twins);
      await expectSameSnapshots(twins, left);
    },
  );

  test.each([false, true])('has nothing of a deleted snapshot; punch: %s', async (punch) => {
    const folder = memoryDirectory();
    const image = path.join(folder, 'disk.qcow2');
    const pattern = path.join(folder, 'pattern');
    writeFileSync(pattern, 'the key is hunter2. '.repeat(1024));
    await makeImage(
      image,
      '8M',
      '',
      [`write -q -s ${pattern} 0 300k`, 'write -q -P 7 1M 1M'],
      'snapshot of customer 4711',
      'write -q -P 9 0 512k',
    );
    const holds = (text: string): boolean => readFileSync(image).includes(text);
    const kept = `driver=qcow2,pass-discard-snapshot=off,pass-discard-other=off,file.filename=${image}`;
    await qemuImg(['snapshot', '--image-opts', '-d', 'of customer 4711', kept]);
    expect([holds('hunter2'), holds('customer 4711')]).toEqual([true, true]);
    await scrubFile(image, punch);
    expect([holds('hunter2'), holds('customer 4711')]).toEqual([false, false]);
    await expectClean(image);
    await qemuIo(image, ['read -q -P 9 0 512k', 'read -q -P 7 1M 1M', 'write -q -P 3 256k 4M']);
    await qemuIo(image, ['read -q -P 9 0 256k', 'read -q -P 3 256k 4M', 'read -q -P 0 5M 3M']);
    await expectClean(image);
  });

  afterAll(() => {
    console.log(JSON.stringify(total));
    expect(total.freeBytes + total.tailBytes).toBeGreaterThan(0);
  });
});
