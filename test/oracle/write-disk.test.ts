/**
 * qsnap writes into a disk what qemu-io writes into its twin: both disks stay the same, and no snapshot changes. QEMU
 * goes on writing to both in between.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { besideEdit } from '../../src/edit/write/beside-edit.js';
import type { DiskChange } from '../../src/edit/write/disk-change.js';
import { planWrite } from '../../src/edit/write/plan-write.js';
import { memoryDevice } from '../../src/io/memory.js';
import { nodeCryptography } from '../../src/node/index.js';
import { unlock } from '../../src/read/guest/unlock.js';
import { memoryDirectory } from '../support/directories.js';
import { oneInWithEach } from '../support/left-out.js';
import { coveringOptions, diskBytesOf, nameOfOptions } from '../support/model-options.js';
import type { ImageOptions } from '../support/model-options.js';
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
  openDisk,
  PASSPHRASE,
  qemuIoWithKey,
  type Twins,
} from '../support/model-twin.js';
import { describeWithQemu } from '../support/qemu.js';

const seed = seedOf() + 7;
const rounds = Math.max(24, roundsOf(24));

/** Refcounts of one bit leave no room for snapshots. */
const isWritable = ({ refcountBits }: ImageOptions): boolean => refcountBits >= 4;

describeWithQemu('writes into a disk', () => {
  console.log(`QSNAP_SEED=${seed - 7} QSNAP_ROUNDS=${rounds}`);
  const all = coveringOptions(randomFrom(seed), rounds, isWritable).map((options, i) => ({
    options,
    own: seed + i,
  }));
  const cases = oneInWithEach(4, all, ({ options }) => [
    options.compat,
    options.encryption,
    options.extendedL2 ? 'extended' : 'plain',
    options.backing ? 'backing' : 'alone',
  ]);
  for (const { options, own } of cases) {
    test(`${own - seed}: ${nameOfOptions(options)}`, () => writeToTwins(options, own));
  }
});

async function writeToTwins(options: ImageOptions, own: number): Promise<void> {
  const random = randomFrom(own);
  const twins = await makeTwins(memoryDirectory(), options, random);
  const size = diskBytesOf(options);
  const content = Uint8Array.from({ length: size }, () => 1 + random.below(255));
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) {
    const commands = guestCommands(random, options, size);
    // QEMU writes no compressed cluster over an allocated one, and from here on the twins are allocated otherwise.
    await guest(twins, i === 0 ? commands : commands.filter((one) => !one.startsWith('write -c')));
    if (i < 3) {
      for (const file of [twins.ours, twins.theirs]) {
        expect((await onImage(twins, file, ['snapshot', '-c', `s${i}`])).code).toBe(0);
      }
      ids.push(String(i + 1));
    }
    const changes = drawChanges(random, size);
    await writeByQemu(twins, changes, content);
    await writeByUs(twins, changes, content);
    await expectSound(twins, twins.ours);
    await expectSameDisk(twins);
    await expectSameSnapshots(twins, ids);
  }
}

/** Stretches of any length and at any place, some that touch, one that reaches the end of the disk. */
function drawChanges(random: Random, size: number): readonly DiskChange[] {
  const changes: DiskChange[] = [];
  const most = size / 512;
  for (let at = random.below(most / 4); at < most;) {
    const sectors = Math.min(most - at, 1 + random.below(random.chance(0.3) ? most / 3 : 200));
    const kind = random.chance(0.6) ? 'data' : 'zero';
    changes.push({ at: at * 512, length: sectors * 512, kind });
    at += sectors + (random.chance(0.4) ? 0 : random.below(most / 5));
  }
  return changes;
}

async function writeByUs(
  { ours, options }: Twins,
  changes: readonly DiskChange[],
  content: Uint8Array,
): Promise<void> {
  await edit(ours, async (image) => {
    const disk = await openDisk(besideEdit(image), undefined);
    const cipher =
      options.encryption === 'none'
        ? undefined
        : await unlock(image, new TextEncoder().encode(PASSPHRASE), nodeCryptography());
    return planWrite(image, { changes, content: memoryDevice(content), disk, cipher });
  });
}

async function writeByQemu(
  twins: Twins,
  changes: readonly DiskChange[],
  content: Uint8Array,
): Promise<void> {
  const commands = changes.map(({ at, length, kind }, i) => {
    if (kind === 'zero') return `write -z ${at} ${length}`;
    writeFileSync(path.join(twins.directory, `${i}.bin`), content.subarray(at, at + length));
    return `write -q -s ${i}.bin ${at} ${length}`;
  });
  const { code, stderr } = await qemuIoWithKey(twins, twins.theirs, commands);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}
