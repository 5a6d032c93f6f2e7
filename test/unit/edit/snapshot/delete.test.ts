import { expect, test } from 'vitest';
import {
  checkImage as checkSource,
  executeStages,
  memoryDevice,
  openImage,
  planCreate,
  planDelete,
  planDeleteInPlace,
} from '../../../../src/index.js';
import { refuseUnsound } from '../../../../src/internal.js';
import { QsnapError } from '../../../../src/errors.js';
import type { WriteRequest } from '../../../../src/io/device.js';
import { contentsOf } from '../../../support/crash-judge.js';
import { withoutRoom } from '../../../support/crash-judge-stages.js';
import { checkImage } from '../../../support/image-builder.js';
import { layoutOf, refcountOf, snapshotsOf } from '../../../support/image-builder-layout.js';
import { DATE, edited, imageWith, opened, written } from './edited.js';
import { madeOn } from '../../../support/plans.js';

/** Snapshots 1 to 5, with a write before each. */
async function fiveSnapshots(): Promise<Uint8Array> {
  let bytes = imageWith({});
  for (const id of [1, 2, 3, 4, 5]) {
    bytes = written(bytes, id, id);
    bytes = await edited(bytes, (image) => planCreate(image, { name: `s${id}`, date: DATE }));
  }
  return bytes;
}

test('many go in one pass; naming one twice is the same as once', async () => {
  const bytes = await edited(await fiveSnapshots(), (image) => {
    const [, two, three, four] = image.snapshots;
    return planDelete(image, [four!, two!, three!, two!]);
  });
  const image = await opened(bytes);
  expect(image.snapshots.map(({ id }) => id)).toEqual(['1', '5']);
  expect(checkImage(bytes)).toEqual({ corruptions: [], leaks: [] });
});

test('S12: without snapshots the table is gone, and its clusters are free', async () => {
  const bytes = await edited(await fiveSnapshots(), (image) => planDelete(image, image.snapshots));
  const image = await opened(bytes);
  expect(image.snapshots).toEqual([]);
  expect(image.header.snapshotTable).toEqual({ at: 0, count: 0 });
});

test('what an edit frees is what it says', async () => {
  let bytes = await edited(imageWith({ 3: 1 }), (it) => planCreate(it, { name: 'x', date: DATE }));
  bytes = written(bytes, 3, 2);
  const image = await opened(bytes);
  const { facts, summary } = await planDelete(image, image.snapshots);
  expect(summary).toBe('delete snapshot 1 "x"');
  // The cluster that only the snapshot held; all else that is freed is tables.
  expect(facts.freedDataBytes).toBe(4096);
});

/** The ids that stay, and whether the new table was written before the list got shorter. */
async function inPlace(bytes: Uint8Array, doomed: readonly string[]) {
  const device = memoryDevice(bytes, 'fixed', { growable: false });
  const image = await openImage(device);
  const plan = await planDeleteInPlace(
    image,
    image.snapshots.filter(({ id }) => doomed.includes(id)),
  );
  const before = await checkSource(device);
  const verify = (source: Parameters<typeof refuseUnsound>[0]): Promise<void> =>
    refuseUnsound(source, before.totals);
  await executeStages(madeOn(device, plan), { verify });
  const after = device.snapshotBytes();
  const { snapshots } = await opened(after);
  return { plan, after, ids: snapshots.map(({ id }) => id) };
}

test('in place, the last ones of the list go without any room', async () => {
  const bytes = withoutRoom(await fiveSnapshots(), 0);
  const { plan, after, ids } = await inPlace(bytes, ['4', '5']);
  expect(plan.summary).toBe('delete snapshots 4 "s4", 5 "s5" in place');
  expect(plan.unlists).toBe(0);
  expect(ids).toEqual(['1', '2', '3']);
  expect(contentsOf(after).snapshots).toEqual(contentsOf(bytes).snapshots.slice(0, 3));
  expect(plan.facts.growthBytes).toBe(0);
});

test('in place, a list that is shorter in its middle needs a free cluster', async () => {
  const sound = await fiveSnapshots();
  const full = inPlace(withoutRoom(sound, 0), ['2']);
  await expect(full).rejects.toMatchObject({
    code: 'NO_SPACE',
    details: { bytesNeeded: 4096, imageState: 'unchanged' },
  });
  const { plan, ids } = await inPlace(withoutRoom(sound, 1), ['2']);
  expect(plan.unlists).toBe(1);
  expect(ids).toEqual(['1', '3', '4', '5']);
});

test.each([
  { name: 'a full disk', freeBytes: 0, last: 'set the flags of what is no longer shared' },
  { name: 'a disk with room', freeBytes: 2 ** 20, last: 'switch to them with one write' },
])('in place, new tables fill holes of the file only where there is room: $name', async (disk) => {
  const { freeBytes, last } = disk;
  const bytes = withoutRoom(await fiveSnapshots(), 8);
  const layout = layoutOf(bytes);
  // QEMU writes a snapshot table as long as it is: the rest of its last cluster may be a hole.
  const tableEnd = layout.snapshotTableAt + Math.ceil(snapshotsOf(bytes).tableBytes / 8) * 8;
  const device = memoryDevice(bytes.slice());
  const writeBatch = device.writeBatch.bind(device);
  Object.assign(device, {
    freeBytes: () => Promise.resolve(freeBytes),
    writeBatch: async (writes: readonly WriteRequest[]) => {
      const isHole = (write: WriteRequest): boolean =>
        refcountOf(bytes, layout, Math.floor(write.at / layout.clusterBytes)) === 0n ||
        (write.at < tableEnd && tableEnd < write.at + write.bytes.length);
      if (freeBytes === 0 && writes.some(isHole)) throw new QsnapError('NO_SPACE', 'full');
      await writeBatch(writes);
    },
  });
  for (const mayGrow of [false, true]) {
    const image = await openImage(device, { mayGrow });
    const plan = await planDeleteInPlace(image, image.snapshots.slice(4));
    expect(plan.stages.at(-1)!.what).toBe(last);
    if (mayGrow) await executeStages(madeOn(device, plan));
  }
  expect((await opened(device.snapshotBytes())).snapshots.length).toBe(4);
  expect(checkImage(device.snapshotBytes()).corruptions).toEqual([]);
});

test('in place, the room of what only the snapshots had goes back', async () => {
  let bytes = await edited(imageWith({ 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1 }), (image) => {
    return planCreate(image, { name: 'x', date: DATE });
  });
  for (const cell of [1, 2, 3, 4, 5, 6]) bytes = written(bytes, cell, 2);
  const { plan, after } = await inPlace(withoutRoom(bytes, 0), ['1']);
  expect(plan.mayLackFlags).toBe(false);
  expect(plan.punch.length).toBeGreaterThan(0);
  expect(checkImage(after).corruptions).toEqual([]);
});
