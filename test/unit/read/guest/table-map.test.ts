import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOfWords, storedWords } from '../../../../src/base/words.js';
import { NOWHERE, SegmentList, type Segment } from '../../../../src/read/guest/segments.js';
import { mapTable, NO_PROBLEM, tableMapOf } from '../../../../src/read/guest/table-map.js';
import { COMPRESSED, decodeL2Entry, judgeL2Entry } from '../../../../src/l1l2/entry.js';
import type { TableFormat } from '../../../../src/l1l2/entry.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';

/** More than a byte can count. */
const FILE_CLUSTERS = 700;

/** Standard entries as they lie in the file. */
const stored = (words: Uint32Array): Uint32Array => storedWords(bytesOfWords(words));

const format: fc.Arbitrary<TableFormat> = fc
  .record({
    bits: fc.integer({ min: 9, max: 21 }),
    version: fc.constantFrom(2 as const, 3 as const),
  })
  .map(({ bits, version }) => ({
    geometry: geometryOf(bits, 4, false),
    version,
    fileClusters: FILE_CLUSTERS,
  }));

const entry = (bits: number): fc.Arbitrary<readonly [number, number]> =>
  fc
    .record({
      cluster: fc.integer({ min: 0, max: FILE_CLUSTERS + 1 }),
      flags: fc.constantFrom(0, 0, 0, 0x8000_0000, 0x0100_0000),
      low: fc.constantFrom(0, 0, 0, 1, 2),
    })
    .map(({ cluster, flags, low }) => {
      const at = cluster * 2 ** bits;
      return [(Math.floor(at / 2 ** 32) | flags) >>> 0, (at % 2 ** 32) + low] as const;
    });

/** Clusters in a row, with the same flags, also past the end of the file. */
const stretch = (bits: number): fc.Arbitrary<(readonly [number, number])[]> =>
  fc
    .record({
      cluster: fc.constantFrom(1, 100, 200, 250, 500, FILE_CLUSTERS - 20),
      length: fc.nat(80),
      flags: fc.constantFrom(0, 0x8000_0000),
      low: fc.constantFrom(0, 1),
    })
    .map(({ cluster, length, flags, low }) =>
      Array.from({ length }, (_, i) => {
        const at = (cluster + i) * 2 ** bits;
        return [(Math.floor(at / 2 ** 32) | flags) >>> 0, (at % 2 ** 32) + low] as const;
      }),
    );

const entries = (bits: number): fc.Arbitrary<(readonly [number, number])[]> =>
  fc
    .array(fc.oneof(fc.array(entry(bits), { maxLength: 9 }), stretch(bits)), { maxLength: 5 })
    .map((parts) => parts.flat());

/** One cluster after the other, by the readable rules. */
function plainRuns(words: Uint32Array, of: TableFormat): { segments: Segment[]; problem: number } {
  const { clusterBytes } = of.geometry;
  const list = new SegmentList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
  for (let i = 0; 2 * i < words.length; i++) {
    const [high, low] = [words[2 * i]!, words[2 * i + 1]!];
    const problem = judgeL2Entry(high, low, of);
    if (problem !== undefined && problem !== 'copied-without-offset') {
      return { segments: [...list.take(0)], problem: i };
    }
    const found = decodeL2Entry(high, low, of);
    list.within(i * clusterBytes, (i + 1) * clusterBytes);
    if (found.kind === 'normal') list.add('data', i * clusterBytes, clusterBytes, found.at);
    else if (found.kind === 'zero-alloc')
      list.add('zero', i * clusterBytes, clusterBytes, found.at);
    else if (found.kind === 'zero-plain') list.add('zero', i * clusterBytes, clusterBytes, NOWHERE);
    else list.add('unallocated', i * clusterBytes, clusterBytes, NOWHERE);
  }
  return { segments: [...list.take(0)], problem: NO_PROBLEM };
}

test('the fast loop maps as the readable rules do, up to the first wrong entry', () => {
  const tables = format.chain((of) => fc.tuple(fc.constant(of), entries(of.geometry.clusterBits)));
  fc.assert(
    fc.property(tables, ([of, list]) => {
      const words = Uint32Array.from(list.flat());
      const { clusterBytes } = of.geometry;
      const map = tableMapOf(of, FILE_CLUSTERS * clusterBytes, false, false);
      const segments = new SegmentList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
      segments.within(0, list.length * clusterBytes);
      const problem = mapTable(stored(words), map, 0, list.length, 0, segments);
      expect({ segments: [...segments.take(0)], problem }).toEqual(plainRuns(words, of));
    }),
    { numRuns: 400 },
  );
});

test('subclusters one by one equal subclusters by whole words', () => {
  const geometry = geometryOf(14, 4, true);
  const of: TableFormat = { geometry, version: 3, fileClusters: 100 };
  const map = tableMapOf(of, 100 * geometry.clusterBytes, false, false);
  const bitmaps = fc.tuple(fc.integer(), fc.integer()).map(([a, b]) => [a >>> 0, (b & ~a) >>> 0]);
  const words = fc.constantFrom([0, 0], [0xffff_ffff, 0], [0, 0xffff_ffff]);
  fc.assert(
    fc.property(fc.oneof(words, bitmaps), ([allocated, zeros]) => {
      const segments = new SegmentList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
      segments.within(0, geometry.clusterBytes);
      const table = Uint32Array.from([0, 5 * geometry.clusterBytes, zeros, allocated]);
      expect(mapTable(table, map, 0, 1, 0, segments)).toBe(NO_PROBLEM);
      const kinds: string[] = [];
      for (const { kind, length, start, at } of segments.take(0)) {
        expect(at).toBe(5 * geometry.clusterBytes + start);
        for (let i = 0; i < length / 512; i++) kinds.push(kind);
      }
      const wanted = Array.from({ length: 32 }, (_, i) => {
        if (((allocated >>> i) & 1) === 1) return 'data';
        return ((zeros >>> i) & 1) === 1 ? 'zero' : 'unallocated';
      });
      expect(kinds).toEqual(wanted);
    }),
  );
});

test('a compressed entry beside a data file is wrong, and so is one out of its place', () => {
  const geometry = geometryOf(12, 4, false);
  const of: TableFormat = { geometry, version: 3, fileClusters: 100 };
  const map = tableMapOf(of, 409_600, true, true);
  const segments = new SegmentList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
  segments.within(0, 3 * 4096);
  const COPIED = 0x8000_0000;
  const good = [COPIED, 0, COPIED, 4096, 0, 0];
  expect(mapTable(stored(Uint32Array.from(good)), map, 0, 3, 0, segments)).toBe(NO_PROBLEM);
  expect(segments.take(0).map(({ kind, at }) => [kind, at])).toEqual([
    ['data', 0],
    ['unallocated', NOWHERE],
  ]);
  expect(mapTable(stored(Uint32Array.from([COPIED, 4096])), map, 0, 1, 0, segments)).toBe(0);
  expect(mapTable(stored(Uint32Array.from([COMPRESSED, 4096])), map, 0, 1, 0, segments)).toBe(0);
});
