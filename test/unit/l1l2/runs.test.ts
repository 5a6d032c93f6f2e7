import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOfWords, storedWords } from '../../../src/base/words.js';
import { addRuns, endOfZeros, newRuns, readRuns, visitWrongFlags } from '../../../src/l1l2/runs.js';
import { NO_PROBLEM, scanOf } from '../../../src/l1l2/scan.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { visitBits } from '../../../src/refcount/bits.js';
import { Counts } from '../../../src/refcount/counts.js';
import { countList, setCounts } from '../../support/count-list.js';

/** More than one byte of cluster numbers, at clusters of every size, and their upper words. */
const BITS = [9, 10, 12, 15, 16, 17, 21];

interface Stretch {
  readonly cluster: number;
  readonly length: number;
  readonly copied: boolean;
  readonly zero: boolean;
}

const stretch = (fileClusters: number): fc.Arbitrary<Stretch> =>
  fc.record({
    // Runs begin where a byte or a word of the offset is about to overflow, or anywhere.
    cluster: fc.oneof(
      fc.nat(fileClusters - 1),
      fc.tuple(fc.constantFrom(...[7, 8, 11, 16, 23]), fc.nat(70)).map(([bit, back]) => {
        return Math.max(0, Math.min(fileClusters - 1, 2 ** bit - back));
      }),
    ),
    length: fc.integer({ min: 1, max: 90 }),
    copied: fc.boolean(),
    zero: fc.boolean(),
  });

const table = fc.constantFrom(...BITS).chain((bits) => {
  const fileClusters = 2 ** 23 + 50;
  return fc
    .array(stretch(fileClusters), { maxLength: 6 })
    .map((stretches) => ({ bits, fileClusters, stretches }));
});

function wordsOf({ cluster, length, copied, zero }: Stretch, bits: number, end: number): number[] {
  if (cluster === 0) return [0, zero ? 1 : 0];
  const clusters = Array.from({ length }, (_, i) => cluster + i).filter((one) => one < end);
  return clusters.flatMap((one) => {
    const entry = (BigInt(one) << BigInt(bits)) | (copied ? 1n << 63n : 0n) | (zero ? 1n : 0n);
    return [Number(entry >> 32n), Number(entry & 0xffff_ffffn)];
  });
}

test('A8, A9: runs name what the entries name, one by one', () => {
  let longRuns = 0;
  fc.assert(
    fc.property(table, ({ bits, fileClusters, stretches }) => {
      const geometry = { ...geometryOf(bits, 4, false), l2Entries: 600 };
      const scan = scanOf({ geometry, version: 3, fileClusters });
      const words = Uint32Array.from(stretches.flatMap((one) => wordsOf(one, bits, fileClusters)));
      const runs = newRuns(scan);
      expect(readRuns(storedWords(bytesOfWords(words)), scan, runs)).toBe(NO_PROBLEM);
      expect(runs.isPlain).toBe(true);
      const named: (readonly [number, boolean] | undefined)[] = [];
      for (let run = 0; run < runs.count; run++) {
        for (let i = 0; i < runs.lengths[run]!; i++) {
          named[runs.entries[run]! + i] = [runs.clusters[run]! + i, runs.copied[run] === 1];
        }
        if (runs.lengths[run]! > 64) longRuns += 1;
      }
      for (let entry = 0; entry * 2 < words.length; entry++) {
        const [high, low] = [words[entry * 2]!, words[entry * 2 + 1]!];
        const cluster = Math.floor(((high & 0xff_ffff) * 2 ** 32 + low) / 2 ** bits);
        expect(named[entry]).toEqual(cluster === 0 ? undefined : [cluster, high >>> 31 === 1]);
      }
      const clusters = named.flatMap((one) => (one === undefined ? [] : [one[0]]));
      expect(runs.allocated).toBe(clusters.length);
      const fragmented = clusters.filter((one, i) => i > 0 && one !== clusters[i - 1]! + 1);
      expect(runs.fragmented).toBe(fragmented.length);
      expect(runs.anyCopied).toBe(named.some((one) => one?.[1] === true));
    }),
    { numRuns: 400 },
  );
  expect(longRuns).toBeGreaterThan(30);
});

test('zeros end where the first entry is not 0, or where they are to', () => {
  for (const at of [0, 1, 2, 15, 16, 17, 40, 63]) {
    for (const end of [64, 62, 32]) {
      const words = new Uint32Array(64);
      words[at] = 0x8000_0000;
      const begin = 0;
      const first = at - (at % 2);
      expect(endOfZeros(words, begin, end)).toBe(Math.min(first, end));
      expect(endOfZeros(words, 64, 64)).toBe(64);
    }
  }
});

test('A8: stops at the first entry that is not plain, with the runs before it', () => {
  const scan = scanOf({ geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 });
  const good = [0, 5 << 16, 0, 6 << 16];
  for (const bad of [
    [0x4000_0000, 7 << 16],
    [0x0100_0000, 7 << 16],
    [0, (7 << 16) | 2],
    [0, 40 << 16],
    [1, 7 << 16],
    [0x8000_0000, 0],
  ]) {
    const runs = newRuns(scan);
    const words = Uint32Array.from([...good, ...bad, 0, 9 << 16]);
    expect(readRuns(storedWords(bytesOfWords(words)), scan, runs)).toBe(2);
    expect(runs.isPlain).toBe(false);
    expect([runs.count, runs.clusters[0], runs.lengths[0]]).toEqual([1, 5, 2]);
  }
});

test('a run that reaches the end of the file stops there', () => {
  const scan = scanOf({ geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 });
  const runs = newRuns(scan);
  const words = Uint32Array.from([38, 39, 40].flatMap((cluster) => [0, cluster << 16]));
  expect(readRuns(storedWords(bytesOfWords(words)), scan, runs)).toBe(2);
  expect([runs.count, runs.lengths[0]]).toEqual([1, 2]);
});

test('R1: adding stops at the entry whose count is full', () => {
  const scan = scanOf({ geometry: geometryOf(16, 4, false), version: 3, fileClusters: 99 });
  const runs = newRuns(scan);
  const words = Uint32Array.from([3, 50, 51, 52, 53].flatMap((cluster) => [0, cluster << 16]));
  readRuns(storedWords(bytesOfWords(words)), scan, runs);
  const counts = new Counts(99, 3, 15);
  counts.set(52, 2);
  expect(addRuns(runs, 1, counts)).toBe(NO_PROBLEM);
  expect(addRuns(runs, 1, counts)).toBe(3);
  expect(countList(counts).slice(50, 54)).toEqual([2, 2, 3, 1]);
});

test('A7: wrong flags are handed out with the places of their entries', () => {
  const clusters = [3, 30, 31, 32, 33, 60];
  const scan = scanOf({ geometry: geometryOf(16, 4, false), version: 3, fileClusters: 99 });
  const runs = newRuns(scan);
  const words = Uint32Array.from(
    clusters.flatMap((cluster, i) => [i < 3 ? 0x8000_0000 : 0, cluster << 16]),
  );
  readRuns(storedWords(bytesOfWords(words)), scan, runs);
  const counts = new Counts(99, 15, 15);
  const ones = new Set([3, 31, 33, 60]);
  setCounts(
    counts,
    Array.from({ length: 99 }, (_, cluster) => (ones.has(cluster) ? 1 : 2)),
  );
  const wrong: number[] = [];
  visitWrongFlags(runs, counts, (entryOfBit0, bits) => {
    visitBits(bits, (bit) => wrong.push(entryOfBit0 + bit));
    return true;
  });
  expect(wrong).toEqual([1, 4, 5]);
  let calls = 0;
  visitWrongFlags(runs, counts, () => {
    calls += 1;
    return false;
  });
  expect(calls).toBe(1);
});
