/**
 * Tables for the fast loops: random words, most of them nearly right, at all cluster sizes, in both
 * versions and with both sizes of entries; and the readable rules of entry.ts for them.
 */
import fc from 'fast-check';
import {
  decodeL2Entry,
  judgeL2Entry,
  type L2Entry,
  type TableFormat,
} from '../../../src/l1l2/entry.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { setCounts } from '../../support/count-list.js';
import { newCounts, type Counts } from '../../../src/refcount/counts.js';

export const FILE_CLUSTERS = 40;

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

export interface Table {
  readonly format: TableFormat;
  readonly words: Uint32Array;
}

export const table: fc.Arbitrary<Table> = format.chain((of) =>
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

export interface Plain {
  readonly high: number;
  readonly low: number;
  readonly entry: L2Entry;
  readonly problem: string | undefined;
}

/** The table by the readable rules, entry by entry. */
export function plainly({ format: of, words }: Table): Plain[] {
  const stride = of.geometry.l2EntryBytes / 4;
  return Array.from({ length: words.length / stride }, (_, i) => {
    const [high, low] = [words[i * stride]!, words[i * stride + 1]!];
    const entry = decodeL2Entry(high, low, of);
    return { high, low, entry, problem: judgeL2Entry(high, low, of) };
  });
}

/** Host clusters that an entry refers to. */
export function clustersOf(entry: L2Entry, clusterBytes: number): number[] {
  if (entry.kind === 'unallocated' || entry.kind === 'zero-plain') return [];
  if (entry.kind !== 'compressed') return [entry.at / clusterBytes];
  const sector = Math.floor(entry.at / 512) * 512;
  const first = Math.floor(entry.at / clusterBytes);
  const last = Math.floor((sector + entry.sectorBytes - 1) / clusterBytes);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

export function countsOf(max: number, filled: number): Counts {
  const counts = newCounts(FILE_CLUSTERS + 8, geometryOf(9, 4, false), max);
  setCounts(counts, new Array<number>(counts.clusters).fill(filled));
  return counts;
}

export function touchedBlocks({ touched }: Counts): Set<number> {
  return new Set([...touched.keys()].filter((block) => touched[block] === 1));
}

/** Tables without a problem, with counts that are 1 for about half of the clusters. */
export const soundTable = table.map((made) => {
  const stride = made.format.geometry.l2EntryBytes / 4;
  const words = made.words.slice();
  plainly(made).forEach(({ problem }, i) => {
    if (problem !== undefined) words.fill(0, i * stride, (i + 1) * stride);
  });
  return { format: made.format, words };
});
export const oneOrTwo = fc.array(fc.constantFrom(1, 2), {
  minLength: FILE_CLUSTERS + 1,
  maxLength: FILE_CLUSTERS + 1,
});
