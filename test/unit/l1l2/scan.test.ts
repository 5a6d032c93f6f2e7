import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeL2Entry,
  judgeL2Entry,
  type L2Entry,
  type TableFormat,
} from '../../../src/l1l2/entry.js';
import {
  addReferences,
  anyCopied,
  anyCopiedWrong,
  clearCopied,
  countDifferent,
  NO_PROBLEM,
  scanOf,
  setCopied,
} from '../../../src/l1l2/scan.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { newCounts, type Counts } from '../../../src/refcount/counts.js';

/**
 * The fast loops against the readable rules of entry.ts: random words, most of them nearly right,
 * at all cluster sizes, in both versions and with both sizes of entries.
 */
const FILE_CLUSTERS = 40;

const format: fc.Arbitrary<TableFormat> = fc
  .record({
    bits: fc.integer({ min: 9, max: 21 }),
    version: fc.constantFrom(2 as const, 3 as const),
    extended: fc.boolean(),
  })
  .map(({ bits, version, extended }) => ({
    geometry: geometryOf(bits, 4, extended && version === 3 && bits >= 14),
    version,
    fileClusters: FILE_CLUSTERS,
  }));

/** One 64-bit entry: sound, nearly sound, or any. */
function entryOf({ geometry }: TableFormat): fc.Arbitrary<bigint> {
  const bits = BigInt(geometry.clusterBits);
  const x = 62n - (bits - 8n);
  const inFile = fc.bigInt(0n, BigInt(FILE_CLUSTERS + 1));
  const flag = (bit: bigint, weight: number) =>
    fc.oneof(
      { weight, arbitrary: fc.constant(0n) },
      { weight: 1, arbitrary: fc.constant(1n << bit) },
    );
  const standard = fc
    .tuple(inFile, flag(63n, 1), flag(0n, 2), flag(5n, 30), flag(9n, 30), flag(56n, 30))
    .map(([cluster, ...flags]) => flags.reduce((word, bit) => word | bit, cluster << bits));
  const compressed = fc
    .tuple(
      inFile,
      fc.bigInt(0n, (1n << bits) - 1n),
      fc.bigInt(0n, (1n << (bits - 8n)) - 1n),
      flag(63n, 20),
    )
    .map(([cluster, within, sectors, copied]) => {
      return (
        (1n << 62n) | copied | (sectors << x) | (((cluster << bits) | within) & ((1n << x) - 1n))
      );
    });
  const any = fc.bigInt(0n, 2n ** 64n - 1n);
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant(0n) },
    { weight: 20, arbitrary: standard },
    { weight: 10, arbitrary: compressed },
    { weight: 1, arbitrary: any },
  );
}

interface Table {
  readonly format: TableFormat;
  readonly words: Uint32Array;
}

const table: fc.Arbitrary<Table> = format.chain((of) =>
  fc
    .array(fc.tuple(entryOf(of), fc.bigInt(0n, 2n ** 64n - 1n)), { maxLength: 24 })
    .map((entries) => {
      const extended = of.geometry.l2EntryBytes === 16;
      const longs = entries.flatMap(([entry, bitmap]) => (extended ? [entry, bitmap] : [entry]));
      return {
        format: of,
        words: Uint32Array.from(
          longs.flatMap((long) => [Number(long >> 32n), Number(long & 0xffff_ffffn)]),
        ),
      };
    }),
);

interface Plain {
  readonly high: number;
  readonly low: number;
  readonly entry: L2Entry;
  readonly problem: string | undefined;
}

/** The table by the readable rules, entry by entry. */
function plainly({ format: of, words }: Table): Plain[] {
  const stride = of.geometry.l2EntryBytes / 4;
  return Array.from({ length: words.length / stride }, (_, i) => {
    const [high, low] = [words[i * stride]!, words[i * stride + 1]!];
    const entry = decodeL2Entry(high, low, of);
    return { high, low, entry, problem: judgeL2Entry(high, low, of) };
  });
}

/** Host clusters that an entry refers to. */
function clustersOf(entry: L2Entry, clusterBytes: number): number[] {
  if (entry.kind === 'unallocated' || entry.kind === 'zero-plain') return [];
  if (entry.kind !== 'compressed') return [entry.at / clusterBytes];
  const sector = Math.floor(entry.at / 512) * 512;
  const first = Math.floor(entry.at / clusterBytes);
  const last = Math.floor((sector + entry.sectorBytes - 1) / clusterBytes);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function countsOf(max: number, filled: number): Counts {
  const counts = newCounts(FILE_CLUSTERS + 8, geometryOf(9, 4, false));
  counts.values.fill(filled);
  return { ...counts, max };
}

function touchedBlocks({ touched }: Counts): Set<number> {
  return new Set([...touched.keys()].filter((block) => touched[block] === 1));
}

describe('addReferences', () => {
  const weight = fc.constantFrom(1, 2, 7, -1, -3);

  test('A8, A9, A10, A12, A13: adds what the readable rules say, and stops where they do', () => {
    fc.assert(
      fc.property(table, weight, fc.constantFrom(12, 0xffff), (made, by, max) => {
        const { clusterBytes } = made.format.geometry;
        const counts = countsOf(max, 5);
        const result = addReferences(made.words, scanOf(made.format), by, counts);
        const model = new Array<number>(counts.values.length).fill(5);
        const modelTouched = new Set<number>();
        const expected = plainly(made).findIndex(({ entry, problem }) => {
          if (problem !== undefined) return true;
          const clusters = clustersOf(entry, clusterBytes);
          const after = clusters.map((cluster) => model[cluster]! + by);
          // An entry counts whole or not at all, so that its clusters can be told one by one.
          if (after.some((count) => count > max || count < 0)) return true;
          for (const cluster of clusters) {
            model[cluster] = model[cluster]! + by;
            modelTouched.add(cluster >>> counts.blockShift);
          }
          return false;
        });
        expect(result).toBe(expected === -1 ? NO_PROBLEM : expected);
        expect([...counts.values]).toEqual(model);
        expect(touchedBlocks(counts)).toEqual(modelTouched);
      }),
      { numRuns: 600 },
    );
  });

  test('A9: a zero cluster without a place adds nothing to the header cluster', () => {
    const of: TableFormat = { geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 };
    const counts = countsOf(9, 1);
    expect(addReferences(Uint32Array.of(0, 1), scanOf(of), 1, counts)).toBe(-1);
    expect(counts.values[0]).toBe(1);
  });

  test('A10: a compressed cluster over a border counts in both host clusters', () => {
    const of: TableFormat = { geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 };
    const counts = countsOf(9, 0);
    // At 0x5fe00, and one sector more: x is 54, so the sector count begins at bit 22 of the high word.
    const words = Uint32Array.of(0x4040_0000, 0x0005_fe00);
    expect(addReferences(words, scanOf(of), 1, counts)).toBe(NO_PROBLEM);
    expect([...counts.values.subarray(4, 8)]).toEqual([0, 1, 1, 0]);
  });
});

/** Tables without a problem, with counts that are 1 for about half of the clusters. */
const soundTable = table.map((made) => {
  const stride = made.format.geometry.l2EntryBytes / 4;
  const words = made.words.slice();
  plainly(made).forEach(({ problem }, i) => {
    if (problem !== undefined) words.fill(0, i * stride, (i + 1) * stride);
  });
  return { format: made.format, words };
});
const oneOrTwo = fc.array(fc.constantFrom(1, 2), {
  minLength: FILE_CLUSTERS + 1,
  maxLength: FILE_CLUSTERS + 1,
});

/** Whether the entry must carry the COPIED flag. Spec: L2 table entry, bit 63. */
function wantsCopied({ entry }: Plain, counts: Counts, clusterBytes: number): boolean {
  if (entry.kind !== 'normal' && entry.kind !== 'zero-alloc') return false;
  return counts.values[entry.at / clusterBytes] === 1;
}

describe('COPIED flags', () => {
  test('A7: are seen, cleared and set as the readable rules say; nothing else changes', () => {
    fc.assert(
      fc.property(soundTable, oneOrTwo, (made, list) => {
        const { clusterBytes, l2EntryBytes } = made.format.geometry;
        const scan = scanOf(made.format);
        const counts = countsOf(0xffff, 0);
        counts.values.set(list);
        const plain = plainly(made);
        const has = ({ high }: Plain) => (high & 0x8000_0000) !== 0;
        expect(anyCopied(made.words, scan)).toBe(plain.some(has));
        const wrong = plain.some((one) => has(one) !== wantsCopied(one, counts, clusterBytes));
        expect(anyCopiedWrong(made.words, scan, counts)).toBe(wrong);

        const cleared = made.words.slice();
        clearCopied(cleared, scan);
        const set = made.words.slice();
        setCopied(set, scan, counts);
        const stride = l2EntryBytes / 4;
        const bare = made.words.map((word, i) => (i % stride === 0 ? word & 0x7fff_ffff : word));
        expect(cleared).toEqual(bare);
        const right = bare.map((word, i) => {
          const wanted = i % stride === 0 && wantsCopied(plain[i / stride]!, counts, clusterBytes);
          return wanted ? word | 0x8000_0000 : word;
        });
        expect(set).toEqual(right);
        expect(anyCopied(cleared, scan)).toBe(false);
        expect(anyCopiedWrong(set, scan, counts)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test('A10: a compressed entry never gets the flag, even with a count of 1', () => {
    const of: TableFormat = { geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 };
    const counts = countsOf(9, 1);
    const words = Uint32Array.of(0x4000_0000, 0x0005_0000);
    expect(anyCopiedWrong(words, scanOf(of), counts)).toBe(false);
    setCopied(words, scanOf(of), counts);
    expect([...words]).toEqual([0x4000_0000, 0x0005_0000]);
  });
});

describe('countDifferent', () => {
  test('A6: counts entries that differ in more than the COPIED flag, subclusters included', () => {
    fc.assert(
      fc.property(table, fc.array(fc.nat(200)), (made, changes) => {
        const stride = made.format.geometry.l2EntryBytes / 4;
        const other = made.words.slice();
        for (const at of changes) {
          if (at < other.length) other[at] = other[at]! ^ (at % 3 === 0 ? 0x8000_0000 : 4);
        }
        let different = 0;
        for (let i = 0; i < other.length; i += stride) {
          const of = (words: Uint32Array) => {
            const [high, ...rest] = words.subarray(i, i + stride);
            return [high! & 0x7fff_ffff, ...rest].join();
          };
          if (of(other) !== of(made.words)) different += 1;
        }
        expect(countDifferent(made.words, other, scanOf(made.format))).toBe(different);
      }),
    );
  });
});
