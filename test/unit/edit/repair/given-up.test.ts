/** Snapshots and L1 tables that a repair gives up, and what stays of all others. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkImage as checkOurs } from '../../../../src/read/check/check-image.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { openForCheck } from '../../../../src/image/open-for-check.js';
import type { RepairChoice } from '../../../../src/edit/repair/choice.js';
import { droppedSnapshots } from '../../../../src/edit/repair/dropped-snapshots.js';
import { proposeRepair } from '../../../../src/edit/repair/propose.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { loadFixture } from '../../../support/fixture.js';
import { checkImage, layoutOf, readGuest, snapshotsOf } from '../../../support/image-builder.js';
import { putU32, putU64, u64 } from '../../../support/image-builder-layout.js';

const FIXTURE = 'extra-data';
const ALL: RepairChoice = { classes: ['all', 'perhaps-lost'] };

/** The image of which the first snapshot's L1 table is said to lie at `l1At`. */
function withFirstL1At(l1At: bigint): Uint8Array {
  const bytes = loadFixture(FIXTURE).slice();
  putU64(bytes, layoutOf(bytes).snapshotTableAt, l1At);
  return bytes;
}

async function repair(device: MemoryDevice, choice: RepairChoice): Promise<void> {
  const { plan } = await proposeRepair(device, () => choice);
  if (plan !== undefined) await executePlan(plan);
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A digest of each disk: to compare bytes one by one takes seconds. */
const contentsOf = (bytes: Uint8Array): string[] =>
  [layoutOf(bytes), ...snapshotsOf(bytes).snapshots].map((disk) =>
    digestOf(readGuest(bytes, disk)),
  );

describe('a snapshot whose L1 table can not be where it is said to be', () => {
  const odd = 0x1234_5678n;

  test('goes where it is dropped, with all that it alone held', async () => {
    const device = memoryDevice(withFirstL1At(odd));
    await repair(device, { ...ALL, dropSnapshots: [0] });
    const after = device.snapshotBytes();
    expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
    const [disk, , ...others] = contentsOf(loadFixture(FIXTURE));
    expect(contentsOf(after)).toEqual([disk, ...others]);
    expect(await checkOurs(device)).toMatchObject({ exitCode: 0 });
  });

  test('keeps its place as it is stored where another is dropped', async () => {
    const device = memoryDevice(withFirstL1At(odd));
    const { length } = snapshotsOf(loadFixture(FIXTURE)).snapshots;
    await repair(device, { classes: ['all'], dropSnapshots: [1] });
    const after = device.snapshotBytes();
    expect(u64(after, layoutOf(after).snapshotTableAt)).toBe(odd);
    expect(layoutOf(after).snapshotCount).toBe(length - 1);
    const { findings } = await checkOurs(device);
    const codes = findings.map(({ code }) => code);
    expect(codes).toContain('SNAPSHOT_L1_MISALIGNED');
    expect(codes).not.toContain('REFCOUNT_TOO_LOW');
  });

  test.each(['an offset between two clusters', 'more entries than any table has'])(
    'is empty where it is given up, and another one stays as it is: %s',
    async (fault) => {
      const bytes = withFirstL1At(odd);
      const [first, second] = snapshotsOf(bytes).snapshots;
      putU64(bytes, second!.at, odd + 2n);
      if (fault.startsWith('more')) {
        putU64(bytes, first!.at, 0x8000n);
        putU32(bytes, first!.at + 8, 2 ** 31);
      }
      const device = memoryDevice(bytes);
      await repair(device, { classes: ['all'], emptyL1s: [0] });
      const after = device.snapshotBytes();
      const [emptied, kept] = snapshotsOf(after).snapshots;
      const { l1At, l1Entries } = emptied!;
      expect(l1At % layoutOf(after).clusterBytes).toBe(0);
      expect(l1Entries).toBe(first!.l1Entries);
      expect(after.subarray(l1At, l1At + l1Entries * 8).every((byte) => byte === 0)).toBe(true);
      expect(u64(after, kept!.at)).toBe(odd + 2n);
      const { findings } = await checkOurs(device);
      const unplaced = findings.filter(({ code }) => code.startsWith('SNAPSHOT_L1'));
      expect(unplaced.map(({ at }) => at)).toEqual([kept!.at]);

      await repair(device, { ...ALL, emptyL1s: [1] });
      expect(checkImage(device.snapshotBytes())).toEqual({ corruptions: [], leaks: [] });
      expect(await checkOurs(device)).toMatchObject({ exitCode: 0 });
    },
  );
});

test('an L1 table that is given up is empty: the snapshot reads as zeros, and all others as before', async () => {
  const device = memoryDevice(loadFixture(FIXTURE));
  await repair(device, { ...ALL, emptyL1s: [0] });
  const after = device.snapshotBytes();
  expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
  const fixture = loadFixture(FIXTURE);
  const [disk, , ...others] = contentsOf(fixture);
  const zeros = digestOf(new Uint8Array(snapshotsOf(fixture).snapshots[0]!.diskSizeBytes));
  expect(contentsOf(after)).toEqual([disk, zeros, ...others]);
  expect(await checkOurs(device)).toMatchObject({ exitCode: 0 });
});

test('where the medium can not grow, what a dropped snapshot holds is not written over', async () => {
  const bytes = loadFixture(FIXTURE);
  const { clusterBytes } = layoutOf(bytes);
  const whole = new Uint8Array(Math.ceil(bytes.length / clusterBytes + 8) * clusterBytes);
  whole.set(bytes);
  const device = memoryDevice(whole, 'disk', { growable: false });
  await repair(device, { ...ALL, dropSnapshots: [0] });
  const after = device.snapshotBytes();
  expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
  const [disk, , ...others] = contentsOf(bytes);
  expect(contentsOf(after)).toEqual([disk, ...others]);
  expect(await checkOurs(device)).toMatchObject({ exitCode: 0 });
});

describe('snapshots that are told to go', () => {
  test('those that were chosen are named, those that can not be read are counted', async () => {
    const bytes = loadFixture(FIXTURE).slice();
    const [first] = snapshotsOf(bytes).snapshots;
    new DataView(bytes.buffer).setUint32(60, 1000);
    const checked = await openForCheck(memoryDevice(bytes));
    const unread = 1000 - checked.image.snapshots.length;
    const choice = { ...ALL, dropSnapshots: [0] };
    expect(droppedSnapshots(checked, choice)).toEqual({
      named: [{ id: first!.id, name: first!.name }],
      unread: 0,
    });
    expect(droppedSnapshots(checked, { ...choice, dropUnreadSnapshots: true })).toMatchObject({
      unread,
    });
    expect(droppedSnapshots(checked, ALL)).toBeUndefined();
  });
});
