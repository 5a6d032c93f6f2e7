import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { Ledger, OutOfClusters, refcountOverflow } from '../../../../src/edit/plan/ledger.js';
import { memoryDevice, openImage, type Image } from '../../../../src/index.js';
import { ClusterSet } from '../../../../src/refcount/cluster-set.js';
import { newCounts } from '../../../../src/refcount/counts.js';
import { countList, setCounts } from '../../../support/count-list.js';
import { loadFixture } from '../../../support/fixture.js';

/** Refcounts of 2 bits: a count of 3 is the highest. */
let image: Image;
let clusterBytes: number;
beforeAll(async () => {
  image = await openImage(memoryDevice(loadFixture('refcount-2')));
  clusterBytes = image.geometry.clusterBytes;
});

const CAPACITY = 64;

/** A file of `fileClusters` clusters with these counts; what lies past it is free. */
function ledgerOf(before: readonly number[], growable = true): Ledger {
  const counts = newCounts(CAPACITY, image.geometry);
  setCounts(counts, before);
  const free = new ClusterSet(CAPACITY);
  for (let cluster = 0; cluster < CAPACITY; cluster++) {
    if (counts.get(cluster) === 0) free.add(cluster);
  }
  const file = { ...image, fileSizeBytes: before.length * clusterBytes };
  return new Ledger(file, counts, free, before.length, growable);
}

const change = fc.oneof(
  fc.record({ kind: fc.constant('run' as const), clusters: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('tables' as const), clusters: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('release' as const), cluster: fc.nat(19) }),
);

test('R6, R7: counts what is placed and released, and never places where something lay before', () => {
  const before = fc.array(fc.nat(1), { minLength: 20, maxLength: 20 }).map((list) => {
    return [1, ...list.slice(1)];
  });
  fc.assert(
    fc.property(before, fc.array(change, { maxLength: 12 }), (counts, changes) => {
      const ledger = ledgerOf(counts);
      const model = Array.from({ length: CAPACITY }, (_, cluster) => counts[cluster] ?? 0);
      let freed = 0;
      for (const one of changes) {
        if (one.kind === 'release') {
          if (one.cluster === 0 || model[one.cluster] !== 1 || counts[one.cluster] !== 1) continue;
          ledger.release(one.cluster * clusterBytes, 1);
          model[one.cluster] = 0;
          freed += 1;
          continue;
        }
        const bytes = one.clusters * clusterBytes;
        const places = placed(one.kind, ledger, bytes, one.clusters);
        for (const at of places ?? []) {
          expect(counts[at / clusterBytes] ?? 0).toBe(0);
          expect(model[at / clusterBytes]).toBe(0);
          model[at / clusterBytes] = 1;
        }
      }
      expect(countList(ledger.counts)).toEqual(model);
      expect(ledger.freedMetadataClusters).toBe(freed);
    }),
    { numRuns: 200 },
  );
});

/** Host offsets of the clusters that were placed; undefined when there was no room. */
function placed(
  kind: 'run' | 'tables',
  ledger: Ledger,
  bytes: number,
  clusters: number,
): readonly number[] | undefined {
  try {
    if (kind === 'tables') return [...ledger.takeTables(clusters)];
    const at = ledger.takeRun(bytes);
    return Array.from({ length: clusters }, (_, i) => at + i * clusterBytes);
  } catch (error) {
    if (error instanceof OutOfClusters) return undefined;
    throw error;
  }
}

test('R7: what an edit releases it does not use', () => {
  const ledger = ledgerOf([1, 1, 1, 1], false);
  ledger.release(clusterBytes, 2 * clusterBytes);
  expect(() => ledger.takeRun(1)).toThrow(OutOfClusters);
  expect(() => ledger.takeTables(1)).toThrow(OutOfClusters);
  expect(countList(ledger.counts).slice(0, 4)).toEqual([1, 0, 0, 1]);
});

test('a released range takes a whole cluster for its last byte', () => {
  const ledger = ledgerOf([1, 1, 1, 1]);
  ledger.release(clusterBytes, clusterBytes + 1);
  expect(countList(ledger.counts).slice(0, 4)).toEqual([1, 0, 0, 1]);
});

test('the block of a changed count is marked', () => {
  const ledger = ledgerOf([1, 1]);
  expect(ledger.counts.touched[0]).toBe(0);
  ledger.change(1, 0);
  expect(ledger.counts.touched[0]).toBe(0);
  ledger.change(1, 1);
  expect(ledger.counts.touched[0]).toBe(1);
});

describe('R1: a width that is full', () => {
  test('is named, with the cluster, before the count is lost', () => {
    const ledger = ledgerOf([1, 3]);
    expect(() => {
      ledger.change(1, 1);
    }).toThrow(expect.objectContaining({ code: 'REFCOUNT_OVERFLOW' }) as Error);
    expect(ledger.counts.get(1)).toBe(3);
  });

  test.each([
    [1, '1 bit', '1'],
    [16, '16 bits', '65535'],
    [64, '64 bits', '18446744073709551615'],
  ])('of %d bits', (bits, words, max) => {
    const error = refcountOverflow(0x50000, bits);
    expect(error.message).toContain(
      `0x50000 would be shared more often than refcounts of ${words}`,
    );
    expect(error.details.expected).toBe(`at most ${max}`);
  });
});

test('what a plan is made from does not change any more', () => {
  const ledger = ledgerOf([1, 1, 0, 0]);
  ledger.takeRun(1);
  ledger.seal();
  expect(() => ledger.takeRun(1)).toThrow('a sealed ledger does not change');
});
