import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Allocator } from '../../../src/refcount/allocate.js';
import { ClusterSet } from '../../../src/refcount/cluster-set.js';

function setOf(members: Iterable<number>, clusters: number): ClusterSet {
  const set = new ClusterSet(clusters);
  for (const cluster of members) set.add(cluster);
  return set;
}

const CAPACITY = 120;
/** A file of `end` clusters in which some are free, and what is asked of the allocator. */
const scenario = fc
  .record({
    end: fc.integer({ min: 2, max: 80 }),
    free: fc
      .array(fc.tuple(fc.integer({ min: 1, max: 79 }), fc.constantFrom(1, 2, 9, 20)), {
        maxLength: 8,
      })
      .map((runs) => runs.flatMap(([at, length]) => Array.from({ length }, (_, i) => at + i))),
    growable: fc.boolean(),
    requests: fc.array(
      fc.record({ run: fc.boolean(), count: fc.constantFrom(1, 1, 2, 8, 9, 20) }),
      {
        maxLength: 14,
      },
    ),
  })
  .map(({ end, free, growable, requests }) => {
    const members = new Set(free.filter((cluster) => cluster < end));
    if (growable) for (let cluster = end; cluster < CAPACITY; cluster++) members.add(cluster);
    return { end, members, limit: growable ? CAPACITY : end, requests };
  });

test('R6, R7: hands out only what was free, nothing twice, never the header, and ends', () => {
  fc.assert(
    fc.property(scenario, ({ end, members, limit, requests }) => {
      const set = setOf(members, CAPACITY);
      const allocator = new Allocator(set, end, limit);
      const left = new Set(members);
      let fileEnd = end;
      for (const { run, count } of requests) {
        const taken = take(allocator, run, count);
        if (taken === undefined) continue;
        expect(taken).toHaveLength(count);
        for (const cluster of taken) {
          expect(cluster).toBeGreaterThan(0);
          expect(cluster).toBeLessThan(limit);
          expect(left.delete(cluster), `cluster ${cluster} was free`).toBe(true);
          expect(set.has(cluster)).toBe(false);
          fileEnd = Math.max(fileEnd, cluster + 1);
        }
        expect([...taken].sort((a, b) => a - b)).toEqual(taken);
        expect(allocator.endCluster).toBe(fileEnd);
      }
      for (const cluster of left) expect(set.has(cluster)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('R6: says that there is no room only when there is none', () => {
  fc.assert(
    fc.property(scenario, ({ end, members, limit, requests }) => {
      const allocator = new Allocator(setOf(members, CAPACITY), end, limit);
      const left = new Set([...members].filter((cluster) => cluster < limit));
      for (const { run, count } of requests) {
        const taken = take(allocator, run, count);
        if (taken === undefined) {
          const room = run ? longestRun(left) : left.size;
          expect(room, `${count} clusters ${run ? 'in a row' : ''}`).toBeLessThan(count);
        }
        for (const cluster of taken ?? []) left.delete(cluster);
      }
    }),
    { numRuns: 300 },
  );
});

function take(allocator: Allocator, run: boolean, count: number): number[] | undefined {
  if (!run) {
    const scattered = allocator.takeScattered(count);
    return scattered === undefined ? undefined : [...scattered];
  }
  const first = allocator.takeRun(count);
  return first === undefined ? undefined : Array.from({ length: count }, (_, i) => first + i);
}

function longestRun(clusters: ReadonlySet<number>): number {
  let longest = 0;
  for (const first of clusters) {
    let length = 0;
    while (clusters.has(first + length)) length += 1;
    longest = Math.max(longest, length);
  }
  return longest;
}

describe('places', () => {
  const past = Array.from({ length: 50 }, (_, i) => 100 + i);

  test('a run goes into the first gap that holds it', () => {
    const free = setOf([3, 4, 10, 11, 12, ...past], 150);
    const allocator = new Allocator(free, 100, 150);
    expect(allocator.takeRun(3)).toBe(10);
    expect(allocator.takeRun(2)).toBe(3);
    expect(allocator.takeRun(1)).toBe(100);
    expect(allocator.endCluster).toBe(101);
  });

  test('many tables prefer long runs: single gaps are left, the file grows instead', () => {
    const gaps = [3, 5, 7, 9, 11];
    const longRun = Array.from({ length: 9 }, (_, i) => 20 + i);
    const allocator = new Allocator(setOf([...gaps, ...longRun, ...past], 150), 100, 150);
    expect([...allocator.takeScattered(12)!]).toEqual([...longRun, 100, 101, 102]);
    expect(allocator.endCluster).toBe(103);
  });

  test('a medium that can not grow uses every gap', () => {
    const allocator = new Allocator(setOf([3, 5, 7, 9], 10), 10, 10);
    expect([...allocator.takeScattered(4)!]).toEqual([3, 5, 7, 9]);
    expect(allocator.takeScattered(1)).toBeUndefined();
    expect(allocator.takeRun(1)).toBeUndefined();
  });

  test('R6: gaps that a search for long runs passed over are there for single tables later', () => {
    const longRun = Array.from({ length: 8 }, (_, i) => 20 + i);
    const allocator = new Allocator(setOf([3, 5, ...longRun], 30), 30, 30);
    expect([...allocator.takeScattered(8)!]).toEqual(longRun);
    expect([...allocator.takeScattered(1)!]).toEqual([3]);
    expect([...allocator.takeScattered(1)!]).toEqual([5]);
  });

  test('nothing asked, nothing taken', () => {
    const free = setOf([1, 2], 3);
    expect([...new Allocator(free, 3, 3).takeScattered(0)!]).toEqual([]);
    expect([free.has(1), free.has(2)]).toEqual([true, true]);
  });
});
