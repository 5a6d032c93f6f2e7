import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FarReferences } from '../../../../src/edit/trim/far-references.js';
import { pairClusters } from '../../../../src/edit/trim/pair.js';
import { ClusterSet } from '../../../../src/refcount/cluster-set.js';

const FROM = 40;

/** Clusters behind FROM, each with how far its packed data reaches; undefined: it holds plain data. */
const far = fc.uniqueArray(
  fc.record({
    cluster: fc.integer({ min: FROM, max: 60 }),
    reach: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
  }),
  { selector: ({ cluster }) => cluster, maxLength: 12 },
);
const freeClusters = fc.uniqueArray(fc.integer({ min: 1, max: FROM - 1 }), { maxLength: 30 });

function setOf(clusters: readonly number[]): ClusterSet {
  const set = new ClusterSet(64);
  for (const cluster of clusters) set.add(cluster);
  return set;
}

function referencesOf(wanted: readonly { cluster: number; reach: number | undefined }[]) {
  const plain = wanted.filter(({ reach }) => reach === undefined);
  const packed = wanted.flatMap(({ cluster, reach }) => {
    return reach === undefined
      ? []
      : [[cluster, [...new Array<number>(reach).fill(0), 1]] as const];
  });
  const references: FarReferences = {
    plain: new Map(plain.map(({ cluster }) => [cluster, 1])),
    packed: new Map(packed),
    farthest: new Float64Array(0),
    metadata: new Set(),
  };
  return references;
}

describe('pairs of clusters and new places', () => {
  test('each finds all that reaches behind it at its new place, in free clusters in front', () => {
    fc.assert(
      fc.property(far, freeClusters, (wanted, free) => {
        const pairs = pairClusters(FROM, referencesOf(wanted), setOf(free));
        if (pairs === undefined) return;
        expect([...pairs.to.keys()].sort()).toEqual(wanted.map(({ cluster }) => cluster).sort());
        const sources = new Map(pairs.copies.map(({ source, target }) => [target, source]));
        expect(sources.size).toBe(pairs.copies.length);
        for (const target of sources.keys()) expect(free).toContain(target);
        for (const { cluster, reach = 0 } of wanted) {
          const place = pairs.to.get(cluster)!;
          for (let i = 0; i <= reach; i++) expect(sources.get(place + i)).toBe(cluster + i);
        }
      }),
    );
  });

  test('plain data finds places wherever there are as many free clusters', () => {
    fc.assert(
      fc.property(far, freeClusters, (wanted, free) => {
        const plain = wanted.map(({ cluster }) => ({ cluster, reach: undefined }));
        const pairs = pairClusters(FROM, referencesOf(plain), setOf(free));
        expect(pairs !== undefined).toBe(free.length >= plain.length);
        if (pairs !== undefined) expect(pairs.copies).toHaveLength(plain.length);
      }),
    );
  });

  test('packed data that begins before the limit and reaches behind it moves as well', () => {
    const references = {
      ...referencesOf([{ cluster: FROM, reach: 0 }]),
      packed: new Map([
        [FROM - 2, [3]],
        [FROM - 1, [5, 1]],
      ]),
    };
    const pairs = pairClusters(FROM, references, setOf([4, 5, 9, 10]));
    expect(pairs?.to).toEqual(new Map([[FROM - 1, 4]]));
    expect(pairs?.copies).toEqual([
      { source: FROM - 1, target: 4 },
      { source: FROM, target: 5 },
    ]);
  });

  test('a chain that is cut has the cluster at the cut twice', () => {
    const chain = [0, 1, 2].map((i) => ({ cluster: FROM + i, reach: i < 2 ? 1 : 0 }));
    const pairs = pairClusters(FROM, referencesOf(chain), setOf([2, 3, 5, 6]));
    expect(pairs?.to).toEqual(
      new Map([
        [FROM, 2],
        [FROM + 1, 5],
        [FROM + 2, 6],
      ]),
    );
    expect(pairs?.copies).toEqual([
      { source: FROM, target: 2 },
      { source: FROM + 1, target: 3 },
      { source: FROM + 1, target: 5 },
      { source: FROM + 2, target: 6 },
    ]);
  });
});
