import { expect, test } from 'vitest';
import {
  checkImage,
  computeUnsavedChanges,
  mapOwners,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planDeleteInPlace,
  planRename,
  planResize,
  proposeRepair,
  snapshotsEqualToActive,
  type BlockSource,
  type OpenImage,
} from '../../../src/index.js';
import { stoppable } from '../../../src/io/stoppable.js';
import { loadFixture } from '../../support/fixture.js';

const DATE = { seconds: 1_700_000_000, nanoseconds: 0 };

/** A device that counts reads, and tells of each before it is done. */
function counting(onRead: (reads: number) => void): {
  readonly source: BlockSource & ReturnType<typeof memoryDevice>;
  reads: number;
} {
  const source = memoryDevice(loadFixture('five-snapshots'));
  const counted = { source, reads: 0 };
  const readBatch = source.readBatch.bind(source);
  source.readBatch = async (requests) => {
    counted.reads += 1;
    onRead(counted.reads);
    await readBatch(requests);
  };
  return counted;
}

test('a source without a signal is the source itself', () => {
  const source = memoryDevice(new Uint8Array(512));
  expect(stoppable(source, undefined, 'it')).toBe(source);
});

test('a stopped source keeps all that the source has, private fields too', async () => {
  const source = memoryDevice(new Uint8Array(1024), 'an image');
  const controller = new AbortController();
  const read = stoppable(source, controller.signal, 'the look');
  expect(read.label).toBe('an image');
  expect(await read.sizeBytes()).toBe(1024);
  expect(read.growable).toBe(true);
  await read.readBatch([{ at: 0, into: new Uint8Array(512) }]);
  controller.abort(new Error('enough'));
  await expect(read.readBatch([])).rejects.toMatchObject({
    code: 'ABORTED',
    message: 'the look was stopped before it was complete',
    cause: new Error('enough'),
  });
  // The source itself goes on.
  await source.readBatch([{ at: 0, into: new Uint8Array(512) }]);
});

/** Work on an image that can be stopped while it reads. */
const WORK: Readonly<Record<string, (image: OpenImage, signal: AbortSignal) => Promise<unknown>>> =
  {
    planCreate: (image, signal) => planCreate(image, { name: 'x', date: DATE }, { signal }),
    planApply: (image, signal) => planApply(image, image.snapshots[0]!, {}, { signal }),
    planDelete: (image, signal) => planDelete(image, [image.snapshots[0]!], { signal }),
    planDeleteInPlace: (image, signal) =>
      planDeleteInPlace(image, [image.snapshots[0]!], { signal }),
    planRename: (image, signal) => planRename(image, image.snapshots[0]!, 'x', {}, { signal }),
    planResize: (image, signal) =>
      planResize(image, { diskSizeBytes: image.header.diskSizeBytes * 2 }, { signal }),
    computeUnsavedChanges: (image, signal) => computeUnsavedChanges(image, { signal }),
    snapshotsEqualToActive: (image, signal) => snapshotsEqualToActive(image, { signal }),
    mapOwners: (image, signal) => mapOwners(image, { signal }),
    checkImage: ({ source }, signal) => checkImage(source, { signal }),
    proposeRepair: ({ source }, signal) =>
      proposeRepair(source, () => ({ classes: [], findings: [] }), { signal }),
  };

test.each(Object.entries(WORK))('%s stops soon after it is told to', async (_, work) => {
  const controller = new AbortController();
  let stopAt = Infinity;
  const counted = counting((reads) => {
    if (reads === stopAt) controller.abort();
  });
  const image = await openImage(counted.source);
  const before = counted.reads;
  stopAt = before + 2;
  await expect(work(image, controller.signal)).rejects.toMatchObject({ code: 'ABORTED' });
  // One batch may have been on its way.
  expect(counted.reads).toBeLessThanOrEqual(before + 3);
});

test.each(Object.entries(WORK))(
  '%s does with a quiet signal what it does without',
  async (_, work) => {
    const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
    await work(image, new AbortController().signal).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'UNSAVED_CHANGES' });
    });
  },
);

test('a plan that was made under a signal is for the device itself', async () => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const { signal } = new AbortController();
  const plan = await planCreate(image, { name: 'x', date: DATE }, { signal });
  expect(plan.source).toBe(image.source);
  const repair = await proposeRepair(image.source, () => ({ classes: ['all'], findings: [] }), {
    signal,
  });
  expect(repair.image.source).toBe(image.source);
});
