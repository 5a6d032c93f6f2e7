import { expect, test } from 'vitest';
import { openGuestDisk } from '../../../src/read/guest/open-guest-disk.js';
import { openImage } from '../../../src/image/open.js';
import { ownSnapshot } from '../../../src/image/own-snapshot.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { planApply } from '../../../src/edit/snapshot/apply.js';
import { planDelete, planDeleteInPlace } from '../../../src/edit/snapshot/delete.js';
import { planRename } from '../../../src/edit/snapshot/rename.js';
import { executePlan } from '../../../src/edit/tx/execute.js';
import { checkPlain } from '../../support/crash-judge.js';
import { loadFixture } from '../../support/fixture.js';

const STALE = { code: 'SNAPSHOT_STALE' };

/** Five snapshots of which the second was deleted, and the five as they were read before. */
async function withoutTheSecond() {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const before = await openImage(device);
  await executePlan(await planDelete(before, before.snapshots.slice(1, 2)));
  return { device, before: before.snapshots, image: await openImage(device) };
}

test('a snapshot that was deleted is refused by name by all that take one', async () => {
  const { device, before, image } = await withoutTheSecond();
  const gone = before[1]!;
  expect(image.snapshots[gone.index]!.name).toBe(before[2]!.name);
  const shown = `snapshot 2 "${gone.name}" is not in the image as it is now`;
  await expect(planDelete(image, [gone])).rejects.toMatchObject({ ...STALE, message: shown });
  await expect(planDeleteInPlace(image, [gone])).rejects.toMatchObject(STALE);
  await expect(planApply(image, gone)).rejects.toMatchObject(STALE);
  await expect(planRename(image, gone, 'new name')).rejects.toMatchObject(STALE);
  await expect(openGuestDisk(image, { snapshot: gone })).rejects.toMatchObject(STALE);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('one that only has another position now is the one that is meant', async () => {
  const { device, before, image } = await withoutTheSecond();
  expect(before.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
  expect(ownSnapshot(image, before[2]!)).toBe(image.snapshots[1]);
  await executePlan(await planDelete(image, [before[2]!, before[4]!]));
  const left = (await openImage(device)).snapshots.map(({ name }) => name);
  expect(left).toEqual([before[0]!.name, before[3]!.name]);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('one that was renamed is not the one that was read', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const before = await openImage(device);
  await executePlan(await planRename(before, before.snapshots[3]!, 'another name'));
  const image = await openImage(device);
  await expect(planDelete(image, [before.snapshots[3]!])).rejects.toMatchObject(STALE);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

test('of equal entries the one at the same position is meant, and without one there none', async () => {
  const { snapshots, source } = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const twins = [0, 1, 2].map((index) => ({ ...snapshots[0]!, index }));
  expect(ownSnapshot({ source, snapshots: twins }, twins[1]!)).toBe(twins[1]);
  expect(() => ownSnapshot({ source, snapshots: twins }, { ...twins[0]!, index: 7 })).toThrow(
    expect.objectContaining(STALE) as Error,
  );
});
