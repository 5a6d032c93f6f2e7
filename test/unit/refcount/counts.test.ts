import fc from 'fast-check';
import { expect, test } from 'vitest';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { Counts, newCounts } from '../../../src/refcount/counts.js';
import { countList, setCounts } from '../../support/count-list.js';

test.each([
  [0, 1],
  [1, 3],
  [2, 15],
  [3, 255],
  [4, 65_535],
  [5, 4_294_967_295],
  [6, 4_294_967_295],
])('R1: refcount_order %d counts to %d', (order, max) => {
  const counts = newCounts(10, geometryOf(16, order, false));
  expect(counts.max).toBe(max);
  counts.set(3, max);
  expect(countList(counts)).toEqual([0, 0, 0, max, 0, 0, 0, 0, 0, 0]);
  expect(counts.change(3, 1)).toBe(false);
  expect(counts.get(3)).toBe(max);
  expect(counts.change(3, -1)).toBe(true);
  expect(counts.get(3)).toBe(max - 1);
});

test.each([
  [9, 6, 64],
  [16, 4, 32_768],
  [21, 0, 16_777_216],
])('clusters of 2^%d, order %d: a block counts %d clusters', (bits, order, entries) => {
  const { blockShift } = newCounts(1, geometryOf(bits, order, false));
  expect((entries - 1) >>> blockShift).toBe(0);
  expect(entries >>> blockShift).toBe(1);
});

/** Four blocks of 64 clusters, and one that is not whole. */
const CLUSTERS = 270;
const SHIFT = 6;

interface Step {
  readonly first: number;
  readonly length: number;
  readonly by: number;
}

/** By the definition: an array, changed cluster by cluster until one would leave its range. */
class Plain {
  readonly counts = new Array<number>(CLUSTERS).fill(0);
  readonly touched = new Set<number>();
  readonly max: number;
  constructor(max: number) {
    this.max = max;
  }

  changeRun({ first, length, by }: Step): number {
    for (let i = 0; i < length; i++) {
      const count = this.counts[first + i]! + by;
      if (count < 0 || count > this.max) return i;
      this.counts[first + i] = count;
      this.touched.add((first + i) >>> SHIFT);
    }
    return length;
  }
}

const step = fc.record({
  first: fc.nat(CLUSTERS - 1),
  length: fc.oneof(fc.constant(1), fc.nat(140)),
  by: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(1, -1, 2) },
    fc.integer({ min: -9, max: 9 }),
  ),
});

test('R1: changes what an array of counts would change, and no more', () => {
  const seen = { stopped: 0, whole: 0 };
  fc.assert(
    fc.property(fc.constantFrom(1, 3, 15, 255), fc.array(step, { maxLength: 30 }), (max, steps) => {
      const counts = new Counts(CLUSTERS, max, SHIFT);
      const plain = new Plain(max);
      for (const one of steps) {
        const { first, by } = one;
        const length = Math.min(one.length, CLUSTERS - first);
        const changed = counts.changeRun(first, length, by);
        expect(changed).toBe(plain.changeRun({ first, length, by }));
        seen[changed < length ? 'stopped' : 'whole'] += 1;
        expect(countList(counts)).toEqual(plain.counts);
      }
      expect(new Set([...counts.touched.keys()].filter((b) => counts.touched[b] === 1))).toEqual(
        plain.touched,
      );
      for (let word = 0; word * 32 < CLUSTERS; word++) {
        const bits = (test: (count: number) => boolean) =>
          plain.counts
            .slice(word * 32, word * 32 + 32)
            .reduce((union, count, bit) => (test(count) ? union | (1 << bit) : union), 0);
        expect(counts.onesAt(word)).toBe(bits((count) => count === 1));
        expect(counts.usedAt(word)).toBe(bits((count) => count !== 0));
      }
    }),
    { numRuns: 300 },
  );
  expect(seen.stopped).toBeGreaterThan(100);
  expect(seen.whole).toBeGreaterThan(100);
});

test('a word changes whole or not at all', () => {
  const counts = new Counts(CLUSTERS, 3, SHIFT);
  setCounts(counts, [0, 1, 2, 3]);
  expect(counts.changeWord(0, 0b0111, 1)).toBe(true);
  expect(countList(counts).slice(0, 5)).toEqual([1, 2, 3, 3, 0]);
  expect(counts.changeWord(0, 0b0111, 1)).toBe(false);
  expect(counts.changeWord(0, 0b1111, -2)).toBe(false);
  expect(counts.changeWord(0, -1, 5)).toBe(false);
  expect(countList(counts).slice(0, 5)).toEqual([1, 2, 3, 3, 0]);
  expect(counts.touched).toEqual(new Uint8Array(5));
});

test('counts with another limit are the same counts', () => {
  const counts = new Counts(CLUSTERS, 3, SHIFT);
  const wide = counts.limitedTo(0xffff_ffff);
  expect(wide.change(70, 9)).toBe(true);
  expect(counts.get(70)).toBe(9);
  expect(counts.touched[1]).toBe(1);
  expect(wide.change(70, -7)).toBe(true);
  expect([counts.change(70, 1), counts.change(70, 1)]).toEqual([true, false]);
});

test('words are compared and replaced bit by bit', () => {
  const counts = new Counts(CLUSTERS, 255, SHIFT);
  setCounts(counts, [0, 1, 2, 3, 200]);
  const planes = new Uint32Array(32);
  planes[0] = 0b01010;
  planes[1] = 0b01000;
  const other = { planes, depth: 2 };
  expect(counts.differenceAt(0, other)).toBe(0b10100);
  counts.setWord(0, 0b00111, other);
  expect(countList(counts).slice(0, 6)).toEqual([0, 1, 0, 3, 200, 0]);
  planes[9] = 0b00001;
  expect(counts.differenceAt(0, { planes, depth: 10 })).toBe(0b10001);
});

test('stretches of words that count alike, by the definition', () => {
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.nat(3).map((all) => new Array<number>(32).fill(all)) },
    fc.array(fc.nat(3), { minLength: 32, maxLength: 32 }),
  );
  const stretch = fc.tuple(word, fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(fc.array(stretch, { minLength: 1, maxLength: 6 }), (stretches) => {
      const words = stretches.flatMap(([one, times]) => new Array<number[]>(times).fill(one));
      const counts = new Counts(words.length * 32, 3, SHIFT);
      setCounts(counts, words.flat());
      const same = (a: readonly number[], b: readonly number[]): boolean =>
        a.every((count, i) => count === b[i]);
      words.forEach((one, i) => {
        const [first] = one;
        expect(counts.alikeAt(i)).toBe(one.every((count) => count === first) ? first : undefined);
        for (const end of [i + 1, Math.min(words.length, i + 20), words.length]) {
          let next = i + 1;
          while (next < end && same(words[next]!, one)) next += 1;
          expect(counts.endOfAlike(i, end)).toBe(next);
        }
      });
    }),
    { numRuns: 50 },
  );
});

test('a stretch ends at once where another plane differs, however long the first one is alike', () => {
  const words = 2 ** 20;
  const counts = new Counts(words * 32, 3, 15);
  for (let word = 0; word < words; word++) counts.changeWord(word, -1, word % 2 === 0 ? 1 : 3);
  // A walk over one plane to its end for every word would take minutes.
  let stretches = 0;
  for (let word = 0; word < words; stretches++) word = counts.endOfAlike(word, words);
  expect(stretches).toBe(words);
});

test('the next cluster that is counted, by the definition', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(CLUSTERS - 1), { maxLength: 6 }),
      fc.nat(CLUSTERS - 1),
      fc.nat(CLUSTERS - 1),
      (used, a, b) => {
        const counts = new Counts(CLUSTERS, 15, SHIFT);
        used.forEach((cluster, i) => {
          counts.set(cluster, i + 1);
        });
        const [first, end] = [Math.min(a, b), Math.max(a, b) + 1];
        const inside = used.filter((cluster) => cluster >= first && cluster < end);
        expect(counts.nextUsed(first, end)).toBe(Math.min(end, ...inside));
      },
    ),
  );
});
