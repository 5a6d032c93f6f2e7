/**
 * Damaged images in files, opened and repaired as a program does it: one check finds nothing afterwards, QEMU finds
 * nothing either, and the guest reads what it read before.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openImageFile } from '../../src/node/index.js';
import {
  checkImage,
  type FindingCode,
  type QcowImage,
  type RepairTarget,
} from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { memoryDirectory } from '../support/directories.js';
import { copyFixture, loadFixture } from '../support/fixture.js';
import { describeWithQemu, expectClean } from '../support/qemu.js';
import { damaged, EXAMPLES } from '../unit/read/check/examples.js';

/** What a check finds, and what a program asks for to get rid of it. */
const CASES: Readonly<Partial<Record<FindingCode, readonly RepairTarget[]>>> = {
  REFCOUNT_ZERO: ['all'],
  REFCOUNT_TOO_LOW: ['all'],
  REFCOUNT_TOO_HIGH: ['leaks'],
  CLUSTER_LEAKED: ['CLUSTER_LEAKED'],
  L2_ENTRY_PAST_END: ['all', 'unreadable', 'perhaps-lost'],
  L2_ENTRY_MISALIGNED: ['all', 'unreadable', 'perhaps-lost'],
  L1_ENTRY_MISALIGNED: ['all', 'unreadable', 'perhaps-lost'],
  MARKED_DIRTY: ['all'],
  MARKED_CORRUPT: ['all'],
};

async function expectSound(file: string): Promise<void> {
  const source = await openFile(file);
  const { exitCode, findings } = await checkImage(source);
  await source.close();
  expect({ exitCode, findings: findings.map(({ code }) => code) }).toMatchObject({ exitCode: 0 });
  await expectClean(file);
}

async function disksOf(image: QcowImage): Promise<readonly Uint8Array[]> {
  const contents: Uint8Array[] = [];
  for (const choice of [undefined, ...image.snapshots]) {
    await using disk = await image.disk(choice);
    contents.push(await disk.read(0, disk.sizeBytes));
  }
  return contents;
}

describeWithQemu('a program repairs an image', () => {
  test.each(Object.entries(CASES))('%s', async (code, targets) => {
    const file = join(memoryDirectory(), `${code}.qcow2`);
    writeFileSync(file, damaged(EXAMPLES[code as FindingCode]).bytes);
    {
      await using image = await openImageFile(file, { write: true });
      const { mended, after } = await image.repair(targets, { verify: true });
      expect(mended.map((one) => one.code)).toContain(code);
      expect(after.exitCode).toBe(0);
      await image.create('an edit takes it');
    }
    await expectSound(file);
  });

  test.each(['refcount-too-low', 'refcount-leaks', 'refcount-zero', 'copied-flags-wrong'])(
    '%s: all disks read as before',
    async (fixture) => {
      const file = copyFixture(fixture, memoryDirectory());
      const planned = join(memoryDirectory(), 'planned.qcow2');
      copyFileSync(file, planned);
      {
        await using image = await openImageFile(file, { write: true });
        const before = await disksOf(image);
        await image.repair();
        const after = await disksOf(image);
        expect(after.map((bytes, i) => Buffer.compare(bytes, before[i]!))).toEqual(
          before.map(() => 0),
        );
      }
      await expectSound(file);
      {
        await using image = await openImageFile(planned, { write: true });
        await image.execute(await image.planRepair());
      }
      expect(readFileSync(planned).equals(readFileSync(file))).toBe(true);
      expect(readFileSync(file).equals(loadFixture(fixture))).toBe(false);
    },
  );
});
