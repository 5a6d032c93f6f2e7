import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseFar } from '../../../../src/edit/trim/choose-far.js';
import { lastUsed } from '../../../../src/edit/trim/used-end.js';
import { ClusterSet } from '../../../../src/refcount/cluster-set.js';
import { Counts } from '../../../../src/refcount/counts.js';

const CLUSTERS = 150;
const usedClusters = fc.uniqueArray(fc.integer({ min: 1, max: CLUSTERS - 1 }));

function made(used: readonly number[]) {
  const counts = new Counts(CLUSTERS, 15, 6);
  const free = new ClusterSet(CLUSTERS);
  counts.set(0, 1);
  for (const cluster of used) counts.set(cluster, 1);
  for (let cluster = 0; cluster < CLUSTERS; cluster++) {
    if (counts.get(cluster) === 0) free.add(cluster);
  }
  return { counts, free };
}

test('the last cluster in use is found', () => {
  fc.assert(
    fc.property(usedClusters, fc.integer({ min: 0, max: CLUSTERS }), (used, end) => {
      const before = [0, ...used].filter((cluster) => cluster < end);
      expect(lastUsed(made(used).counts, end)).toBe(Math.max(-1, ...before));
    }),
  );
});

test('the last clusters are chosen, as long as a free one is left in front of each', () => {
  const limits = [fc.integer({ min: 1, max: CLUSTERS }), fc.integer({ min: 0, max: 40 })] as const;
  fc.assert(
    fc.property(usedClusters, ...limits, (used, first, most) => {
      const { counts, free } = made(used);
      const spare = Array.from({ length: CLUSTERS }, (_, i) => i).filter((i) => free.has(i));
      const expected = [...used]
        .sort((a, b) => b - a)
        .filter((cluster, i) => cluster >= first && i < most && spare[i]! < cluster)
        .reverse();
      const end = lastUsed(counts, CLUSTERS) + 1;
      expect(chooseFar(counts, free, [first, end], most)).toEqual(expected);
    }),
  );
});
