import type { BlockDevice } from '../../../../src/io/device.js';
import { expect, test } from 'vitest';
import { planApply, planCreate, type OpenImage } from '../../../../src/index.js';
import { expectedContents, loadFixture } from '../../../support/fixture.js';
import { layoutOf, readGuest } from '../../../support/image-builder.js';
import { createHash } from 'node:crypto';
import { codeOf, DATE, edited, imageWith, opened, written } from './edited.js';

const create = (name: string) => (image: OpenImage<BlockDevice>) =>
  planCreate(image, { name, date: DATE });

/** The active disk of an image with a snapshot of a first byte 1, written to 2 since. */
async function changed(): Promise<Uint8Array> {
  return written(await edited(imageWith({ 0: 1 }), create('one')), 0, 2);
}

function firstByte(bytes: Uint8Array): number | undefined {
  const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
  return readGuest(bytes, { l1At, l1Entries, diskSizeBytes })[0];
}

test('what no snapshot holds is not lost without being told', async () => {
  const bytes = await changed();
  const image = await opened(bytes);
  expect(await codeOf(planApply(image, image.snapshots[0]!))).toBe('UNSAVED_CHANGES');
  await expect(planApply(image, image.snapshots[0]!)).rejects.toThrow(
    'the active disk differs from every snapshot; from the nearest, 1 "one", ' +
      'in 1 guest cluster (4096 bytes)',
  );
  const discarded = await edited(bytes, (it) =>
    planApply(it, it.snapshots[0]!, { discardChanges: true }),
  );
  expect(firstByte(discarded)).toBe(1);
});

test('saveAs keeps the active disk as a snapshot, in the same edit', async () => {
  const saved = await edited(await changed(), (image) =>
    planApply(image, image.snapshots[0]!, { saveAs: { name: 'kept', date: DATE } }),
  );
  expect(firstByte(saved)).toBe(1);
  const image = await opened(saved);
  expect(image.snapshots.map(({ id, name }) => [id, name])).toEqual([
    ['1', 'one'],
    ['2', 'kept'],
  ]);
  const back = await edited(saved, (it) => planApply(it, it.snapshots[1]!));
  expect(firstByte(back)).toBe(2);
});

test.each(['resized-larger', 'resized-smaller'])(
  'A3: %s: the disk gets the size that it had in the snapshot',
  async (name) => {
    const image = await opened(loadFixture(name));
    const other = image.snapshots.find((it) => it.diskSizeBytes !== image.header.diskSizeBytes)!;
    const recorded = expectedContents(name).snapshots.find(({ id }) => id === other.id)!;
    const bytes = await edited(loadFixture(name), (it) =>
      planApply(it, it.snapshots[other.index]!, { discardChanges: true }),
    );
    const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
    expect(diskSizeBytes).toBe(recorded.diskSizeBytes);
    const content = readGuest(bytes, { l1At, l1Entries, diskSizeBytes });
    expect(createHash('sha256').update(content).digest('hex')).toBe(recorded.sha256);
  },
);

test('H12: version 2 keeps its size', async () => {
  const image = await opened(loadFixture('version-2'));
  const [first] = image.snapshots;
  const resized = { ...first!, diskSizeBytes: first!.diskSizeBytes + 512 };
  const options = { discardChanges: true };
  expect(await codeOf(planApply({ ...image, snapshots: [resized] }, resized, options))).toBe(
    'SIZE_DIFFERS_IN_V2',
  );
});

test('A1: a disk size that no L1 can map is refused', async () => {
  const image = await opened(loadFixture('cluster-512'));
  const absurd = { ...image.snapshots[0]!, diskSizeBytes: 2 ** 40 };
  const options = { discardChanges: true };
  expect(await codeOf(planApply({ ...image, snapshots: [absurd] }, absurd, options))).toBe(
    'SNAPSHOT_TABLE_INVALID',
  );
});

test('H4: persistent bitmaps stop it, unless nobody trusts them any more', async () => {
  const trusted = await opened(loadFixture('bitmaps-snapshots'));
  const options = { discardChanges: true };
  expect(await codeOf(planApply(trusted, trusted.snapshots[0]!, options))).toBe('BITMAPS_PRESENT');
  const stale = await opened(loadFixture('bitmaps-autoclear-off'));
  expect(await codeOf(planApply(stale, stale.snapshots[0]!, options))).toBe('done');
});
