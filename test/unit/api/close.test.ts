import { expect, test } from 'vitest';
import { checkImage, memoryDevice, openQcow, type QcowImage } from '../../../src/index.js';
import { opened } from './images.js';

const iterate = async (all: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of all) return;
};

const CALLS: Readonly<Record<string, (image: QcowImage) => unknown>> = {
  snapshots: (image) => image.snapshots,
  header: (image) => image.header,
  diskSizeBytes: (image) => image.diskSizeBytes,
  backingName: (image) => image.backingName,
  unread: (image) => image.unread,
  create: (image) => image.create('x'),
  apply: (image) => image.apply('#0'),
  delete: (image) => image.delete('#0'),
  rename: (image) => image.rename('#0', 'x'),
  resize: (image) => image.resize(512),
  planCreate: (image) => image.planCreate('x'),
  planApply: (image) => image.planApply('#0'),
  planDelete: (image) => image.planDelete('#0'),
  planRename: (image) => image.planRename('#0', 'x'),
  planResize: (image) => image.planResize(512),
  repair: (image) => image.repair(),
  planRepair: (image) => image.planRepair(),
  check: (image) => image.check(),
  unsavedChanges: (image) => image.unsavedChanges(),
  diff: (image) => iterate(image.diff('#0')),
  owners: (image) => iterate(image.owners()),
  disk: (image) => image.disk(),
};

test.each(Object.entries(CALLS))('%s after close: CLOSED', async (_, call) => {
  const { image } = await opened('five-snapshots');
  await image.close();
  await expect(Promise.resolve().then(() => call(image))).rejects.toMatchObject({
    code: 'CLOSED',
    message: "the image was closed, and can't be used any more",
    details: { file: 'five-snapshots' },
  });
});

test('execute after close: CLOSED', async () => {
  const { image } = await opened('five-snapshots');
  const plan = await image.planCreate('x');
  const repair = await image.planRepair();
  await image.close();
  await expect(image.execute(plan)).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(image.execute(repair)).rejects.toMatchObject({ code: 'CLOSED' });
});

test('close waits for what was asked for before, and is the same the second time', async () => {
  const { image, device } = await opened('five-snapshots');
  let bytes: Uint8Array | undefined;
  const created = image.create('at last').then(({ snapshot }) => {
    bytes = device.snapshotBytes();
    return snapshot;
  });
  await Promise.all([image.close(), image.close()]);
  expect((await created).name).toBe('at last');
  expect((await checkImage(memoryDevice(bytes))).findings).toEqual([]);
});

test('await using closes the image and its disks', async () => {
  const { device } = await opened('five-snapshots');
  let disk;
  {
    await using image = await openQcow(device);
    disk = await image.disk('#0');
    await disk.read(0, 512);
  }
  await expect(device.sizeBytes()).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(disk.read(0, 512)).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a disk that is closed: CLOSED, and the image goes on', async () => {
  const { image } = await opened('five-snapshots');
  let closed;
  {
    await using disk = await image.disk();
    closed = disk;
  }
  await expect(closed.read(0, 1)).rejects.toMatchObject({
    code: 'CLOSED',
    message: "the disk was closed, and can't be used any more",
  });
  expect(() => closed.stream()).toThrow("the disk was closed, and can't be used any more");
  await expect(iterate(closed.extents())).rejects.toMatchObject({ code: 'CLOSED' });
  await (await image.disk()).read(0, 1);
});

test('close waits for reads that are under way', async () => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk();
  const read = disk.read(0, 4096);
  await image.close();
  expect(await read).toHaveLength(4096);
});

test('a source is closed, too, where it holds no image', async () => {
  const device = memoryDevice(new Uint8Array(600));
  await expect(openQcow(device)).rejects.toMatchObject({ code: 'NOT_QCOW2' });
  expect(device.lostHold?.()).toBe('closed');
});
