import { expect, test } from 'vitest';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import { placeEmptyImage } from '../../../../src/make/new/place-empty.js';
import { PLAIN } from '../../../support/new-image.js';

const CLUSTER_BITS = 12;
const geometry = geometryOf(CLUSTER_BITS, 4, false);
const options = { ...PLAIN, clusterBytes: 4096, diskSizeBytes: 700 * 4096 };
const name = new TextEncoder().encode('data');

/** The guest's clusters in order, and the host cluster of each. */
const placesOf = ({ runs }: ReturnType<typeof placeEmptyImage>): (readonly [number, number])[] =>
  runs.flatMap(({ guest, host, clusters }) =>
    Array.from({ length: clusters }, (_, i) => [guest + i, host + i] as const),
  );

test('in a raw data file each guest cluster has its own place, and none is taken here', () => {
  const image = placeEmptyImage(geometry, { ...options, dataFile: { name, raw: true } });
  expect(placesOf(image)).toEqual(Array.from({ length: 700 }, (_, i) => [i, i]));
  expect(image.l2Clusters).toHaveLength(2);
  expect([image.hasOwnData, image.endBytes, image.isData(5)]).toEqual([false, 0, false]);
});

test.each(['metadata', 'full'] as const)('preallocation %s: a place for each cluster', (how) => {
  const image = placeEmptyImage(geometry, { ...options, preallocation: how });
  const places = placesOf(image);
  expect(places.map(([guest]) => guest)).toEqual(Array.from({ length: 700 }, (_, i) => i));
  const hosts = new Set(places.map(([, host]) => host));
  expect(hosts.size).toBe(700);
  expect([...hosts].every((host) => image.isData(host))).toBe(true);
  for (const table of [0, image.l1Cluster, ...image.l2Clusters]) {
    expect(image.isData(table), `cluster ${table}`).toBe(false);
  }
});
