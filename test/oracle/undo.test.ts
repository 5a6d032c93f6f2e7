/**
 * QEMU took clusters that a repair had left free, and let go of them again: everything that the repair wrote was as it
 * had written it, so the repair was undone, and a sound image became one with dozens of errors.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  executePlan,
  executeUndo,
  isQsnapError,
  proposeRepair,
  saveUndo,
  type RepairChoice,
} from '../../src/index.js';
import {
  createNewFile,
  newSha256,
  openFile,
  openFileForEdit,
  openImageFile,
} from '../../src/node/index.js';
import { digestOf } from '../../src/base/hasher.js';
import { memoryDirectory } from '../support/directories.js';
import { copyFixture } from '../support/fixture.js';
import { check, describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';

const all: RepairChoice = { classes: ['all'] };
const CASES: readonly [string, RepairChoice][] = [
  ['refcount-leaks', all],
  ['refcount-too-low', all],
  ['refcount-zero', all],
  ['lazy-refcounts-dirty', all],
  ['copied-flags-wrong', all],
  ['five-snapshots', { classes: [], dropSnapshots: [1, 2] }],
  ['refcount-zero', { classes: ['all'], dropSnapshots: [0] }],
  ['refcount-too-low', { classes: ['all'], dropSnapshots: [0] }],
  ['bitmaps-snapshots', { classes: [], dropBitmaps: true }],
];

const USES: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  'a snapshot comes and goes': async (file) => {
    await qemuImg(['snapshot', '-c', 'there and back', file]);
    await qemuImg(['snapshot', '-d', 'there and back', file]);
  },
  'a guest writes and discards': (file) =>
    qemuIo(
      `driver=qcow2,discard=unmap,file.driver=file,file.filename=${file}`,
      ['write -q -P 0x5a 0 256k', 'discard -q 0 256k'],
      { imageOpts: true },
    ),
  'nobody uses it': () => Promise.resolve(),
};

/** Repairs a file and keeps the way back. */
async function repaired(file: string, undo: string, choice: RepairChoice): Promise<void> {
  const device = await openFileForEdit(file);
  const { plan } = await proposeRepair(device, () => choice);
  const kept = await createNewFile(undo);
  await saveUndo(device, plan!, kept, newSha256, { image: file, operation: 'repair' });
  await kept.close();
  await executePlan(plan!);
  await device.close();
}

/** Undoes it; the code of the error that refuses it. */
async function undone(file: string, undo: string): Promise<string> {
  const device = await openFileForEdit(file);
  const kept = await openFile(undo);
  try {
    await executeUndo(device, kept, newSha256);
    return 'undone';
  } catch (error) {
    if (isQsnapError(error)) return error.code;
    throw error;
  } finally {
    await kept.close();
    await device.close();
  }
}

/** The digest of what each snapshot holds, or the error that ends reading it. */
async function snapshotsOf(file: string): Promise<readonly string[]> {
  await using image = await openImageFile(file);
  const contents: string[] = [];
  for (const snapshot of image.snapshots) {
    await using disk = await image.disk(snapshot);
    const reading = disk.read(0, disk.sizeBytes).then((bytes) => digestOf(bytes, newSha256));
    contents.push(await reading.catch((error: unknown) => String(error)));
  }
  return contents;
}

describeWithQemu('a repair is undone as it was, or not at all', () => {
  const told = { undone: 0, IMAGE_CHANGED: 0 };

  test.each(
    CASES.flatMap(([fixture, choice]) =>
      Object.entries(USES).map(([use, byQemu]) => ({ fixture, choice, use, byQemu })),
    ),
  )('$fixture, $choice: $use', async ({ fixture, choice, use, byQemu }) => {
    const file = copyFixture(fixture, memoryDirectory());
    const undo = join(memoryDirectory(), 'old.undo');
    const flaws = (await check(file)).stdout;
    const damaged = readFileSync(file);
    const content = await snapshotsOf(file);
    await repaired(file, undo, choice);
    const sound = await check(file);
    await byQemu(file);
    const before = readFileSync(file);
    const outcome = await undone(file, undo);
    const after = readFileSync(file);
    if (outcome === 'undone') {
      expect((await check(file)).stdout).toBe(flaws);
      expect(await snapshotsOf(file)).toEqual(content);
      if (use === 'nobody uses it') expect(Buffer.compare(after, damaged)).toBe(0);
    } else {
      expect(use).not.toBe('nobody uses it');
      expect(outcome).toBe('IMAGE_CHANGED');
      expect(Buffer.compare(after, before)).toBe(0);
      if (sound.code === 0) await expectClean(file);
    }
    told[outcome === 'undone' ? 'undone' : 'IMAGE_CHANGED'] += 1;
  });

  test('both happen', () => {
    expect(told.undone).toBeGreaterThanOrEqual(CASES.length);
    expect(told.IMAGE_CHANGED).toBeGreaterThanOrEqual(CASES.length / 2);
  });
});
