import { describe, expect, test } from 'vitest';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { besideEdit } from '../../../../src/edit/write/beside-edit.js';
import { changedDisk } from '../../../../src/edit/write/changed-disk.js';
import { planEmpty } from '../../../../src/edit/write/plan-empty.js';
import { planWrite } from '../../../../src/edit/write/plan-write.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { openGuestDisk } from '../../../../src/read/guest/open-guest-disk.js';
import { loadFixture } from '../../../support/fixture.js';
import { checkImage } from '../../../support/image-builder.js';

const CLUSTER = 65_536;
const content = memoryDevice(new Uint8Array(4 * 2 ** 20).fill(9));

async function readAll(bytes: Uint8Array): Promise<Uint8Array> {
  const disk = await openGuestDisk(await openImage(memoryDevice(bytes)));
  const into = new Uint8Array(await disk.sizeBytes());
  await disk.readBatch([{ at: 0, into }]);
  return into;
}

describe('a write', () => {
  test('changes that and nothing else, and takes free clusters before the file grows', async () => {
    const before = loadFixture('five-snapshots');
    const device = memoryDevice(before);
    const image = await openImage(device);
    const disk = await openGuestDisk(besideEdit(image));
    const changes = [
      { at: 100, length: 1000, kind: 'data' as const },
      { at: CLUSTER, length: CLUSTER, kind: 'zero' as const },
    ];
    await executePlan(await planWrite(image, { changes, content, disk }));
    const expected = await readAll(before);
    expected.fill(9, 100, 1100).fill(0, CLUSTER, 2 * CLUSTER);
    const after = device.snapshotBytes();
    expect(Buffer.compare(await readAll(after), expected)).toBe(0);
    expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
  });

  test('the disk as it is can be read while a plan of it is carried out, and is refused otherwise', async () => {
    const device = memoryDevice(loadFixture('five-snapshots'));
    const image = await openImage(device);
    const changes = [{ at: 100, length: 1000, kind: 'data' as const }];
    const disk = await openGuestDisk(image);
    const plan = await planWrite(image, { changes, content, disk });
    await expect(executePlan(plan)).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
    expect(Buffer.compare(device.snapshotBytes(), loadFixture('five-snapshots'))).toBe(0);
  });

  test.each([
    [
      'over each other',
      [
        [0, 1024],
        [512, 512],
      ],
    ],
    [
      'not ascending',
      [
        [1024, 512],
        [0, 512],
      ],
    ],
    ['past the end of the disk', [[4 * 2 ** 20, 512]]],
    ['of nothing', [[0, 0]]],
  ])('changes %s are refused', async (_, ranges) => {
    const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
    const changes = ranges.map(([at, length]) => ({
      at: at!,
      length: length!,
      kind: 'data' as const,
    }));
    await expect(planWrite(image, { changes, content })).rejects.toMatchObject({
      code: 'RANGE_INVALID',
    });
  });

  test.each([
    ['luks', 'ENCRYPTED'],
    ['data-file', 'EXTERNAL_DATA_FILE'],
    ['dirty', 'IMAGE_DIRTY'],
  ])('%s is refused', async (name, code) => {
    const image = await openImage(memoryDevice(loadFixture(name)));
    const changes = [{ at: 0, length: 512, kind: 'zero' as const }];
    await expect(planWrite(image, { changes, content })).rejects.toMatchObject({ code });
  });

  test('the rest of a cluster has to be known', async () => {
    const all = changedDisk(content, [{ at: 512, length: 512, kind: 'data' }], undefined);
    const read = all.readBatch([{ at: 0, into: new Uint8Array(1024) }]);
    await expect(read).rejects.toMatchObject({ code: 'RANGE_INVALID', details: { at: 0 } });
    const into = new Uint8Array(512);
    await all.readBatch([{ at: 512, into }]);
    expect(into[0]).toBe(9);
  });
});

test('an empty disk reads as zeros, and snapshots keep what they have', async () => {
  const before = loadFixture('five-snapshots');
  const device = memoryDevice(before);
  await executePlan(await planEmpty(await openImage(device)));
  const after = device.snapshotBytes();
  expect((await readAll(after)).some((byte) => byte !== 0)).toBe(false);
  expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
  const disks = await Promise.all(
    [before, after].map(async (bytes) => {
      const image = await openImage(memoryDevice(bytes));
      const disk = await openGuestDisk(image, { snapshot: image.snapshots[0] });
      const into = new Uint8Array(await disk.sizeBytes());
      await disk.readBatch([{ at: 0, into }]);
      return Buffer.from(into);
    }),
  );
  expect(disks[0]!.equals(disks[1]!)).toBe(true);
});
