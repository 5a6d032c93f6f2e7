import { expect, test } from 'vitest';
import type { QcowImage } from '../../../src/index.js';
import { closedSound, expectSame, opened } from './images.js';

const drain = async (all: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of all) expect(_).toBeDefined();
};

/** All that can be stopped. */
const WORK: Readonly<Record<string, (image: QcowImage, signal: AbortSignal) => Promise<unknown>>> =
  {
    create: (image, signal) => image.create('x', { signal }),
    apply: (image, signal) => image.apply('#0', { signal, discardChanges: true }),
    delete: (image, signal) => image.delete('#0', { signal }),
    'delete in place': (image, signal) => image.delete('#0', { signal, inPlace: true }),
    rename: (image, signal) => image.rename('#0', 'x', { signal }),
    resize: (image, signal) => image.resize(image.diskSizeBytes * 2, { signal }),
    trim: (image, signal) => image.trim({ signal, relocate: true }),
    planTrim: (image, signal) => image.planTrim({ signal }),
    scrub: (image, signal) => image.scrub({ signal }),
    planScrub: (image, signal) => image.planScrub({ signal }),
    planCreate: (image, signal) => image.planCreate('x', { signal }),
    planDelete: (image, signal) => image.planDelete('#0', { signal }),
    repair: (image, signal) => image.repair('all', { signal }),
    planRepair: (image, signal) => image.planRepair('all', { signal }),
    check: (image, signal) => image.check({ signal }),
    unsavedChanges: (image, signal) => image.unsavedChanges({ signal }),
    diff: (image, signal) => drain(image.diff('#0', '#1', { signal })),
    owners: (image, signal) => drain(image.owners({ signal })),
    read: async (image, signal) => (await image.disk()).read(0, 2 ** 20, { signal }),
    stream: async (image, signal) => drain((await image.disk()).stream({ signal })),
    extents: async (image, signal) => drain((await image.disk()).extents({ signal })),
  };

test.each(Object.entries(WORK))('%s ends before it begins', async (_, work) => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  await expect(work(on.image, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
  expectSame(on.device.snapshotBytes(), before);
  await closedSound(on);
});

const WALKS = Object.entries(WORK).filter(([name]) => !/read|stream|extents/.test(name));

test.each(WALKS)('%s ends in the middle of its reads, and the image goes on', async (_, work) => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  const controller = new AbortController();
  const readBatch = on.device.readBatch.bind(on.device);
  let reads = 0;
  on.device.readBatch = async (requests) => {
    reads += 1;
    if (reads === 3) controller.abort();
    await readBatch(requests);
  };
  await expect(work(on.image, controller.signal)).rejects.toMatchObject({ code: 'ABORTED' });
  expectSame(on.device.snapshotBytes(), before);
  await on.image.create('after all');
  await closedSound(on);
});

test('a long read ends between its pieces', async () => {
  const on = await opened('five-snapshots');
  await on.image.resize(64 * 2 ** 20);
  const disk = await on.image.disk();
  const controller = new AbortController();
  const readBatch = disk.guest.readBatch.bind(disk.guest);
  let pieces = 0;
  disk.guest.readBatch = async (requests) => {
    pieces += 1;
    controller.abort();
    await readBatch(requests);
  };
  const read = disk.read(0, disk.sizeBytes, { signal: controller.signal });
  await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
  expect(pieces).toBe(1);
  await closedSound(on);
});

test('work that waits for its turn ends when its turn comes', async () => {
  const on = await opened('five-snapshots');
  const controller = new AbortController();
  const first = on.image.create('first');
  const second = on.image.create('second', { signal: controller.signal });
  controller.abort();
  await first;
  await expect(second).rejects.toMatchObject({ code: 'ABORTED' });
  expect(on.image.snapshots.at(-1)!.name).toBe('first');
  await closedSound(on);
});
