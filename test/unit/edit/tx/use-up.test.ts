import { expect, test } from 'vitest';
import { openImage } from '../../../../src/image/open.js';
import type { BlockDevice, BlockSource } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { planCreate } from '../../../../src/edit/snapshot/create.js';
import { planDelete, planDeleteInPlace } from '../../../../src/edit/snapshot/delete.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { executeStages } from '../../../../src/edit/tx/execute-stages.js';
import type { Bound, WritePlan } from '../../../../src/edit/tx/plan.js';
import { checkPlain } from '../../../support/crash-judge.js';
import { loadFixture } from '../../../support/fixture.js';
import { hideMethods } from '../../../support/hide-methods.js';

const date = { seconds: 1_700_000_000, nanoseconds: 0 };
const STALE = { code: 'PLAN_STALE', details: { imageState: 'unchanged' } };

async function expectRefused(
  device: BlockDevice,
  plan: WritePlan & Bound<BlockDevice>,
  why: RegExp,
) {
  const refused = executePlan(plan);
  await expect(refused).rejects.toMatchObject(STALE);
  await expect(refused).rejects.toThrow(why);
  expect(await device.sizeBytes()).toBe(plan.fileSizeBytes);
}

test('a plan that was made on a device that is closed by now', async () => {
  const bytes = loadFixture('five-snapshots');
  const device = memoryDevice(bytes);
  const plan = await planCreate(await openImage(device), { name: 'new', date });
  await device.close();
  await expect(executePlan(plan)).rejects.toMatchObject(STALE);
  await expect(executePlan(plan)).rejects.toThrow(/closed/);
});

test('a plan whose device gave up its lock', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const plan = await planCreate(await openImage(device), { name: 'new', date });
  Object.assign(device, { lostHold: () => 'unlocked' });
  await expectRefused(device, plan, /lock under which it was made was given up/);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('a plan that was made on a source that is only read is refused by its type, and where it has none', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const source: BlockSource = hideMethods(device, [
    'writeBatch',
    'truncate',
    'punchBatch',
    'flush',
  ]);
  const plan = await planCreate(await openImage(source), { name: 'new', date });
  // @ts-expect-error A plan for a source that is only read.
  await expect(executePlan(plan)).rejects.toMatchObject(STALE);
  // @ts-expect-error A plan for a source that is only read.
  await expect(executePlan(plan)).rejects.toThrow(/only read/);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('a plan that was carried out, and one that was made before another', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const image = await openImage(device);
  const early = await planDelete(image, image.snapshots.slice(1, 3));
  const staged = await planDeleteInPlace(image, image.snapshots.slice(1, 3));
  const plan = await planCreate(image, { name: 'new', date });
  await executePlan(plan);
  for (const again of [plan, early]) {
    await expect(executePlan(again)).rejects.toMatchObject(STALE);
    await expect(executePlan(again)).rejects.toThrow(/an edit was begun/);
  }
  await expect(executeStages(staged)).rejects.toMatchObject(STALE);
  expect((await openImage(device)).snapshots.length).toBe(6);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('a plan that was made before edits that left the header as it was', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const early = await planCreate(await openImage(device), { name: 'early', date });
  // Two renames: the second puts the table where the first found it.
  const headers: string[] = [];
  for (const name of ['once', 'twice', 'thrice']) {
    const image = await openImage(device);
    headers.push(Buffer.from(image.headerSector).toString('hex'));
    await executePlan(await planCreate(image, { name, date }));
    const after = await openImage(device);
    await executePlan(await planDelete(after, after.snapshots.slice(-1)));
  }
  await expect(executePlan(early)).rejects.toMatchObject(STALE);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('two plans of one image that are carried out at the same time: one of them is refused', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const image = await openImage(device);
  const plans = [
    await planCreate(image, { name: 'one', date }),
    await planCreate(image, { name: 'other', date }),
  ];
  const outcomes = await Promise.allSettled(plans.map((plan) => executePlan(plan)));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect((await openImage(device)).snapshots.at(-1)!.name).toBe('one');
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});
