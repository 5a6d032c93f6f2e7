import { expect, test } from 'vitest';
import { HostClusters } from '../../../../src/make/new/host-clusters.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';

test('clusters in order, each for one reference', () => {
  const clusters = new HostClusters(geometryOf(16, 4, false), 1);
  expect(clusters.append(2000)).toBe(65_536);
  expect(clusters.append(1)).toBe(2001 * 65_536);
  clusters.share(2001);
  expect([clusters.length, clusters.count(2000), clusters.count(2001)]).toEqual([2002, 1, 2]);
});

test('more clusters than are counted', () => {
  const clusters = new HostClusters(geometryOf(9, 4, false), 1);
  expect(() => clusters.append(2 ** 30)).toThrow(/would have 1073741825 clusters/);
});
