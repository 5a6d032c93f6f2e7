/** Bitmaps are given up by name alone, all of them, and whatever is wrong with them. */
import { expect, test } from 'vitest';
import {
  checkImage,
  executePlan,
  isQsnapError,
  memoryDevice,
  proposeRepair,
} from '../../../../src/index.js';
import type { RepairChoice } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { layoutOf, putU64, u64 } from '../../../support/image-builder-layout.js';
import { readGuest } from '../../../support/image-builder.js';
import { damaged, EXAMPLES } from '../../read/check/examples.js';

const ALL: RepairChoice = { classes: ['all', 'leaks', 'perhaps-lost', 'unreadable'] };
const DROPS: RepairChoice = { classes: ['all'], dropBitmaps: true };
const BITMAPS_BIT_BYTE = 95;

/** What the active disk reads, of an image of which nothing else is damaged. */
function diskOf(bytes: Uint8Array): Uint8Array {
  return readGuest(bytes, layoutOf(bytes));
}

test.each([
  'BITMAP_TABLE_ENTRY_INVALID',
  'BITMAP_UNREADABLE',
  'BITMAP_TABLE_TOO_LONG',
  'BITMAPS_UNREADABLE',
] as const)('%s: no class gives a bitmap up, the choice by name does', async (code) => {
  const { bytes } = damaged(EXAMPLES[code]);
  const kept = memoryDevice(bytes.slice());
  try {
    const { plan, facts } = await proposeRepair(kept, () => ALL);
    expect(facts.droppedBitmaps).toBeUndefined();
    if (plan !== undefined) await executePlan(plan);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    expect(error.details.hintCode).toBe('drop-bitmaps');
  }
  expect(kept.snapshotBytes()[BITMAPS_BIT_BYTE]! & 1).toBe(1);

  const device = memoryDevice(bytes.slice());
  const { plan, facts } = await proposeRepair(device, () => DROPS);
  expect(facts.droppedBitmaps).toBeDefined();
  await executePlan(plan!);
  const left = device.snapshotBytes();
  expect(left[BITMAPS_BIT_BYTE]! & 1).toBe(0);
  expect(Buffer.compare(diskOf(left), diskOf(bytes))).toBe(0);
  const { exitCode, findings } = await checkImage(device);
  expect(exitCode).toBe(0);
  expect(findings.map((finding) => finding.code)).toEqual(['BITMAPS_STALE']);
});

test('says which bitmaps go, and how many clusters they name', async () => {
  const device = memoryDevice(loadFixture('bitmaps'));
  const { facts } = await proposeRepair(device, () => DROPS);
  expect(facts.droppedBitmaps!.names).toContain('daily');
  expect(facts.droppedBitmaps!.clusters).toBe(facts.loweredClusters);
  expect((await checkImage(device)).exitCode).toBe(0);
});

test('writes nothing where there are no bitmaps', async () => {
  const { facts, plan } = await proposeRepair(memoryDevice(loadFixture('version-3')), () => DROPS);
  expect(plan).toBeUndefined();
  expect(facts.droppedBitmaps).toBeUndefined();
});

test('an active L1 over the header is mended by name alone', async () => {
  const bytes = loadFixture('version-3');
  putU64(bytes, 40, 0n);
  const refused = proposeRepair(memoryDevice(bytes), () => ALL);
  await expect(refused).rejects.toMatchObject({ code: 'REPAIR_REFUSED', details: { at: 40 } });
  const device = memoryDevice(bytes);
  const { plan } = await proposeRepair(device, () => ({ classes: ['all'], emptyL1s: ['active'] }));
  await executePlan(plan!);
  expect(u64(device.snapshotBytes(), 40)).not.toBe(0n);
  expect(diskOf(device.snapshotBytes()).every((byte) => byte === 0)).toBe(true);
  expect((await checkImage(device)).exitCode).toBe(0);
});
