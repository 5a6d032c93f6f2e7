import { expect, test } from 'vitest';
import { planCreate } from '../../../../src/index.js';
import { diskRange } from '../../../../src/edit/snapshot/create.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import { loadFixture } from '../../../support/fixture.js';
import { layoutOf } from '../../../support/image-builder.js';
import { codeOf, DATE, edited, imageWith, opened } from './edited.js';

test('the entry: next id, given date, the disk size, no VM state, icount disabled', async () => {
  const after = await opened(
    await edited(imageWith({ 0: 1 }), (image) => planCreate(image, { name: 'one', date: DATE })),
  );
  expect(after.snapshots).toHaveLength(1);
  expect(after.snapshots[0]).toMatchObject({
    id: '1',
    name: 'one',
    date: DATE,
    diskSizeBytes: 64 * 4096,
    vmStateBytes: 0,
    vmClockNanoseconds: 0n,
    icount: undefined,
  });
  expect(after.snapshots[0]!.extraData).toHaveLength(24);
});

test('S6: id and icount can be chosen', async () => {
  const options = { name: 'one', date: DATE, id: 'mine', icount: 0n };
  const bytes = await edited(imageWith({}), (image) => planCreate(image, options));
  expect((await opened(bytes)).snapshots[0]).toMatchObject({ id: 'mine', icount: 0n });
});

test('A5: VM state behind the active disk is not part of the snapshot', async () => {
  // QEMU's apply leaves the VM state's entries in the active L1.
  const bytes = loadFixture('vm-state');
  const before = layoutOf(bytes);
  const image = await opened(bytes);
  const disk = Math.ceil(image.header.diskSizeBytes / image.geometry.l2CoverageBytes);
  expect(before.l1Entries, 'the fixture has room for VM state').toBeGreaterThan(disk);
  const after = await opened(
    await edited(bytes, (it) => planCreate(it, { name: 'x', date: DATE })),
  );
  expect(after.snapshots.at(-1)!.l1.entries).toBe(disk);
  expect(after.header.activeL1.entries).toBe(before.l1Entries);
});

test('A5: diskRange cuts VM state off, fills up with zeros, and is never empty', () => {
  const geometry = geometryOf(12, 4, false);
  const words = Uint32Array.of(0, 0x1000, 0, 0x2000, 0, 0x3000);
  expect([...diskRange(words, geometry.l2CoverageBytes + 1, geometry)]).toEqual([
    0, 0x1000, 0, 0x2000,
  ]);
  expect([...diskRange(words.subarray(0, 2), 2 * geometry.l2CoverageBytes, geometry)]).toEqual([
    0, 0x1000, 0, 0,
  ]);
  expect([...diskRange(words, 0, geometry)]).toEqual([0, 0]);
});

test('R1: a refcount width that is too narrow stops it before anything is written', async () => {
  const narrow = await opened(imageWith({ 0: 1 }, { refcountOrder: 0 }));
  expect(await codeOf(planCreate(narrow, { name: 'x', date: DATE }))).toBe('REFCOUNT_OVERFLOW');
  const empty = imageWith({}, { refcountOrder: 0 });
  await edited(empty, (image) => planCreate(image, { name: 'nothing is shared', date: DATE }));
});

test('S8: 65,536 snapshots are the most', async () => {
  const image = await opened(imageWith({}));
  const [one] = (await opened(loadFixture('five-snapshots'))).snapshots;
  const full = { ...image, snapshots: Array.from({ length: 65_536 }, () => one!) };
  expect(await codeOf(planCreate(full, { name: 'x', date: DATE }))).toBe('TOO_MANY_SNAPSHOTS');
});
