/** Repairs that are refused, as they would lose what nobody can see. */
import { expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import type { RepairChoice } from '../../../../src/edit/repair/choice.js';
import { proposeRepair } from '../../../../src/edit/repair/propose.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { patientOf } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import { buildImage, guestWrite, layoutOf } from '../../../support/image-builder.js';
import { COPIED_BIT, OFFSET_MASK, putU64, u64 } from '../../../support/image-builder-layout.js';

const propose = (bytes: Uint8Array, choice: RepairChoice) =>
  proposeRepair(memoryDevice(bytes), () => choice);

/** Two entries: one leads `behind` clusters behind the end of the file, the other has a wrong flag. */
function leadingBehind(behind: number): Uint8Array {
  const { bytes, layout, fileClusters, standard } = patientOf(loadFixture('no-snapshots'));
  const [first, second] = standard.filter(({ active }) => active);
  putU64(bytes, first!.at, BigInt((fileClusters + behind) * layout.clusterBytes) | COPIED_BIT);
  putU64(bytes, second!.at, u64(bytes, second!.at) ^ COPIED_BIT);
  return bytes;
}

test('a file may not become longer than a place that an entry names which stays', async () => {
  await expect(propose(leadingBehind(0), { classes: ['all'] })).rejects.toMatchObject({
    code: 'REPAIR_REFUSED',
    message: expect.stringContaining('show zeros for it') as string,
  });
});

test('it may where the entry is given up', async () => {
  const device = memoryDevice(leadingBehind(0));
  const { plan } = await proposeRepair(device, () => ({
    classes: ['all', 'unreadable', 'perhaps-lost'],
  }));
  await executePlan(plan!);
  expect(await checkImage(device)).toMatchObject({ exitCode: 0 });
});

test('more references than a refcount can say', async () => {
  const options = { version: 3, clusterBits: 12, refcountOrder: 0, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 20 }) };
  guestWrite(disk, 0, 1);
  guestWrite(disk, 1, 2);
  const l2At = Number(u64(disk.bytes, layoutOf(disk.bytes).l1At) & OFFSET_MASK);
  putU64(disk.bytes, l2At + 8, u64(disk.bytes, l2At));
  await expect(propose(disk.bytes, { classes: ['all'] })).rejects.toMatchObject({
    code: 'REFCOUNT_OVERFLOW',
  });
});
