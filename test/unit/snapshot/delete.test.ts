import { expect, test } from 'vitest';
import { planCreate, planDelete } from '../../../src/index.js';
import { checkImage } from '../../support/image-builder.js';
import { DATE, edited, imageWith, opened, written } from './edited.js';

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
