/** Snapshot tables that were misread: where they seem to end need not be where they do. */
import { describe, expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { parseRepairWords, type RepairChoice } from '../../../../src/edit/repair/choice.js';
import { proposeRepair } from '../../../../src/edit/repair/propose.js';
import { planCreate } from '../../../../src/edit/snapshot/create.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { loadFixture } from '../../../support/fixture.js';
import { putU32, snapshotsOf } from '../../../support/image-builder-layout.js';

const FIXTURE = 'five-snapshots';

/**
 * One wrong length in the fourth entry, so that the fifth is read from a wrong place: it had a name of tens of
 * KiB, and a repair freed all that the "table" reached over.
 */
function misread(): Uint8Array {
  const bytes = loadFixture(FIXTURE);
  putU32(bytes, snapshotsOf(bytes).snapshots[3]!.at + 36, 16);
  return bytes;
}

const propose = (bytes: Uint8Array, more: Partial<RepairChoice> = {}) =>
  proposeRepair(memoryDevice(bytes), () => ({ ...parseRepairWords([]), ...more }));

test('a check says that the entry is lost, and doubts what nothing refers to', async () => {
  const report = await checkImage(memoryDevice(misread()));
  expect(report.findings.map(({ code }) => code)).toContain('SNAPSHOT_LOST');
  expect(report).toMatchObject({ ownersHidden: true, exitCode: 2 });
});

describe('nothing writes a new table in its place', () => {
  test('no repair, unless what was misread is given up', async () => {
    await expect(propose(misread())).rejects.toMatchObject({ code: 'REPAIR_REFUSED' });
    const device = memoryDevice(misread());
    const choice = { ...parseRepairWords([]), dropUnreadSnapshots: true };
    const { plan, after } = await proposeRepair(device, () => choice);
    await executePlan(plan!);
    expect(after).toMatchObject({ exitCode: 0 });
    const sound = await openImage(memoryDevice(loadFixture(FIXTURE)));
    const left = (await openImage(device)).snapshots;
    const names = left.map(({ name }) => name);
    expect(names.slice(0, 3)).toEqual(sound.snapshots.slice(0, 3).map(({ name }) => name));
    expect(names.length).toBeLessThan(5);
    expect(await checkImage(device)).toMatchObject({ exitCode: 0 });
  });

  test('no edit', async () => {
    const bytes = loadFixture(FIXTURE);
    bytes[snapshotsOf(bytes).snapshots.at(-1)!.at + 14] = 1;
    const image = await openImage(memoryDevice(bytes));
    const options = { name: 'one more', date: { seconds: 1, nanoseconds: 2 } };
    await expect(planCreate(image, options)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
  });
});
