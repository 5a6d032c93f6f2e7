import { expect, test } from 'vitest';
import { planRename } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { codeOf, edited, opened } from './edited.js';

test('only the name changes; L1 tables stay where they are', async () => {
  const before = await opened(loadFixture('five-snapshots'));
  const bytes = await edited(loadFixture('five-snapshots'), (image) =>
    planRename(image, image.snapshots[2]!, 'another'),
  );
  const after = await opened(bytes);
  expect(after.header.activeL1).toEqual(before.header.activeL1);
  const facts = ({ id, date, l1, extraData }: (typeof after.snapshots)[number]) => {
    return { id, date, l1, extraData };
  };
  expect(after.snapshots.map(facts)).toEqual(before.snapshots.map(facts));
  expect(after.snapshots.map(({ name }) => name)).toEqual(
    before.snapshots.map(({ name }, index) => (index === 2 ? 'another' : name)),
  );
});

test('S1, S2: extra data stays; entries of version 3 that lack sizes are completed', async () => {
  const before = await opened(loadFixture('extra-data'));
  const bytes = await edited(loadFixture('extra-data'), (image) =>
    planRename(image, image.snapshots[0]!, 'another'),
  );
  const after = await opened(bytes);
  const lengths = before.snapshots.map(({ extraData }) => extraData.length);
  expect(lengths.toSorted((a, b) => a - b)).toEqual([0, 8, 16, 24, 40]);
  after.snapshots.forEach((snapshot, index) => {
    const old = before.snapshots[index]!;
    expect(snapshot.diskSizeBytes).toBe(old.diskSizeBytes);
    if (old.extraData.length >= 16) expect(snapshot.extraData).toEqual(old.extraData);
    else expect(snapshot.extraData).toHaveLength(24);
  });
});

test('a name of another snapshot is refused, its own is not', async () => {
  const image = await opened(loadFixture('five-snapshots'));
  const [one, two] = image.snapshots;
  expect(await codeOf(planRename(image, one!, two!.name))).toBe('NAME_IN_USE');
  expect(await codeOf(planRename(image, one!, one!.name))).toBe('done');
});
