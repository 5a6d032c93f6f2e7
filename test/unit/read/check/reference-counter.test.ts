import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FindingCollector } from '../../../../src/read/check/collector.js';
import { CutOff } from '../../../../src/read/check/cut-off.js';
import { ReferenceCounter } from '../../../../src/read/check/reference-counter.js';
import { tableFormat } from '../../../../src/image/table-format.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { buildImage } from '../../../support/image-builder.js';

const CLUSTER = 512;
const CLUSTERS = 20;
const WHERE = () => ({ structure: 'active-l2', at: 7 }) as const;

/** A counter for a file of 20 clusters, of which the last has this many bytes. */
async function counterOf(refcountOrder: number, lastBytes = CLUSTER) {
  const options = { version: 3, clusterBits: 9, refcountOrder, extendedL2: false } as const;
  const bytes = new Uint8Array((CLUSTERS - 1) * CLUSTER + lastBytes);
  bytes.set(buildImage({ ...options, diskSizeBytes: 4096 }));
  const image = await openImage(memoryDevice(bytes));
  const collector = new FindingCollector(100);
  const cutOff = new CutOff(image);
  const counter = new ReferenceCounter(tableFormat(image), bytes.length, collector, cutOff);
  const count = (at: number, length: number, times = 1): void => {
    counter.count(at, length, times, 'L2_ENTRY_PAST_END', WHERE);
  };
  return { counter, count, codes: () => collector.finish().findings.map(({ code }) => code) };
}

test('every cluster that the bytes touch is counted, as a list would', async () => {
  const stretches = fc.array(
    fc.tuple(fc.nat(CLUSTERS * CLUSTER - 1), fc.nat(3000), fc.integer({ min: 1, max: 3 })),
  );
  await fc.assert(
    fc.asyncProperty(stretches, async (all) => {
      const { counter, count, codes } = await counterOf(4);
      const expected = new Array<number>(CLUSTERS + 1).fill(0);
      let behind = 0;
      for (const [at, length, times] of all) {
        count(at, length, times);
        if (at + length >= (CLUSTERS + 1) * CLUSTER) {
          behind += 1;
          continue;
        }
        for (let cluster = 0; cluster <= CLUSTERS; cluster++) {
          const isTouched = at < (cluster + 1) * CLUSTER && at + length > cluster * CLUSTER;
          if (length > 0 && isTouched) expected[cluster]! += times;
        }
      }
      expect(expected.map((_, cluster) => counter.counts.get(cluster))).toEqual(expected);
      expect(codes().filter((code) => code === 'L2_ENTRY_PAST_END')).toHaveLength(behind);
      expect(counter.clusters).toBe(expected[CLUSTERS] === 0 ? CLUSTERS : CLUSTERS + 1);
    }),
  );
});

test('a stretch that ends less than a cluster behind the end counts, and one cluster more is looked at', async () => {
  const { counter, count, codes } = await counterOf(4);
  count((CLUSTERS - 1) * CLUSTER, 2 * CLUSTER - 1);
  expect(codes()).toEqual([]);
  expect(counter.clusters).toBe(CLUSTERS + 1);
  count((CLUSTERS - 1) * CLUSTER, 2 * CLUSTER);
  expect(codes()).toEqual(['L2_ENTRY_PAST_END']);
  expect(counter.counts.get(CLUSTERS - 1)).toBe(1);
});

test('a count stays at the highest refcount, and what is above is told as often as it is', async () => {
  const { counter, count, codes } = await counterOf(1);
  count(CLUSTER, 1, 3);
  expect(codes()).toEqual([]);
  count(CLUSTER, 1, 2);
  expect(counter.counts.get(1)).toBe(3);
  expect(codes()).toEqual(['REFCOUNT_OVERFLOW']);
});

test('isReferredTo asks about clusters of the file alone', async () => {
  const { counter, count } = await counterOf(4);
  count(3 * CLUSTER + 10, 5);
  expect(counter.isReferredTo(3 * CLUSTER)).toBe(true);
  expect(counter.isReferredTo(4 * CLUSTER)).toBe(false);
  expect(counter.isReferredTo(2 ** 50)).toBe(false);
});
