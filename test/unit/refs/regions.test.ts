import { expect, test } from 'vitest';
import { tableFormat } from '../../../src/image/table-format.js';
import { readSoundRefcountTable } from '../../../src/refs/sound-refcounts.js';
import {
  claimRegions,
  metadataRegions,
  regionClusters,
  type Region,
} from '../../../src/refs/regions.js';
import { memoryDevice, openImage } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';

async function regionsOf(name: string): Promise<readonly Region[]> {
  const image = await openImage(memoryDevice(loadFixture(name)));
  const regions = metadataRegions(image, await readSoundRefcountTable(image));
  const { fileClusters } = tableFormat(image);
  const claimed = claimRegions(regions, image.geometry.clusterBytes, fileClusters);
  expect(claimed.has(0)).toBe(true);
  return regions;
}

test('R10: everything that is not an L2 table or guest data has an owner', async () => {
  const owners = (regions: readonly Region[]) => new Set(regions.map(({ owner }) => owner));
  const common = [
    'main-header',
    'refcount-table',
    'refcount-block',
    'active-l1',
    'snapshot-table',
    'inactive-l1',
  ];
  expect(owners(await regionsOf('five-snapshots'))).toEqual(new Set(common));
  expect(owners(await regionsOf('luks'))).toContain('luks-header');
  expect(owners(await regionsOf('bitmaps-snapshots'))).toEqual(
    new Set([...common, 'bitmap-directory', 'bitmap-table']),
  );
});

test('S10, A13: tables past the end or over each other are refused with their place', () => {
  const at = (cluster: number): Region => {
    return { owner: 'inactive-l1', at: cluster * 512, bytes: 513 };
  };
  expect(regionClusters(at(3), 512)).toEqual([3, 5]);
  expect(() => claimRegions([at(3), at(5)], 512, 7)).not.toThrow();
  expect(() => claimRegions([at(3), at(4)], 512, 7)).toThrow('shares the cluster at 0x800');
  expect(() => claimRegions([at(6)], 512, 7)).toThrow('lies outside the file of 7 clusters');
});
