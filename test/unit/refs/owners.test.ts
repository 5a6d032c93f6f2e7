import { expect, test } from 'vitest';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { mapOwners } from '../../../src/refs/owners.js';
import { loadFixture } from '../../support/fixture.js';
import { plainFixtures, plainReferences } from '../../support/plain-owners.js';

/** The disks that name each cluster. */
function plainOwners(bytes: Uint8Array): Map<number, Set<number>> {
  const owners = new Map<number, Set<number>>();
  for (const { kind, cluster, disk } of plainReferences(bytes)) {
    if (kind === 'l2-table') continue;
    owners.set(cluster, (owners.get(cluster) ?? new Set()).add(disk));
  }
  return owners;
}

const names = plainFixtures();

test('there are such images', () => {
  expect(names.length).toBeGreaterThan(20);
});

test.each(names)('%s: who has which cluster is what a plain reader finds', async (name) => {
  const bytes = loadFixture(name);
  const { data, pointers } = await mapOwners(await openImage(memoryDevice(bytes)));
  const told = new Map<number, number[]>();
  for (const { first, length, owners } of data.ranges()) {
    const disks = [...pointers.disks.disksOf(owners)];
    for (let cluster = first; cluster < first + length; cluster++) told.set(cluster, disks);
  }
  const expected = [...plainOwners(bytes)].sort(([a], [b]) => a - b);
  expect([...told]).toEqual(expected.map(([cluster, disks]) => [cluster, [...disks]]));
});

test('a signal ends the walk', async () => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const walk = mapOwners(image, { signal: AbortSignal.abort('enough') });
  await expect(walk).rejects.toMatchObject({ code: 'ABORTED' });
});
