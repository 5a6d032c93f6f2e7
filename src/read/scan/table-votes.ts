import type { BlockSource } from '../../io/device.js';
import { COMPRESSED, offsetOf, type TableFormat } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';
import { walkTables } from '../../refs/tables.js';
import { contentsAsL2 } from './table-contents.js';

/** What looks like an L2 table, and where its content says that it belongs. */
export interface VotedTable {
  readonly at: number;
  /** Guest clusters that it maps. */
  readonly mapped: number;
  /** Entries with the COPIED flag: a table of the active disk has them. */
  readonly copied: number;
  /** The last entry in use. */
  readonly lastEntry: number;
  /** L1 index at which another table maps the most of the same clusters, and how many of those tried. */
  readonly index: number | undefined;
  readonly votes: number;
}

/** What tables are read by. */
export interface TableGround {
  readonly source: BlockSource;
  readonly scan: Scan;
  readonly format: TableFormat;
}

/** So many samples are taken of all tables together, unless they are more, and of one at most so many. */
const SAMPLES_MAX = 2 ** 18;
const SAMPLES_OF_ONE = 32;
/** Tables that name one cluster: of more than so many, the others get no votes by it. */
const ALIKE_MAX = 64;

/**
 * Tells which L1 index each of some L2 tables belongs to, by likeness: when a guest writes after a snapshot, its L2 table
 * is copied, and most entries of the copy stay as they are in the snapshot's table. So a table belongs to the index of the
 * known table that is most like it.
 *
 * @param places host offsets; those that map nothing are left out of the result.
 * @param indexes of known tables, by their host offsets.
 */
export async function votedTables(
  places: Float64Array,
  indexes: ReadonlyMap<number, number>,
  ground: TableGround,
): Promise<readonly VotedTable[]> {
  const samples = await Samples.of(places, ground);
  await samples.voteBy(indexes, ground);
  return samples.tables.map((table, i) => ({ ...table, ...samples.electionOf(i) }));
}

/** A few entries of each table, by the cluster that they name. */
class Samples {
  readonly tables: Omit<VotedTable, 'index' | 'votes'>[] = [];
  /** Clusters, ascending, and beside each the table and the entry. */
  #clusters = new Float64Array(0);
  #tableOf = new Uint32Array(0);
  #entryOf = new Uint32Array(0);
  /** By table: votes for each L1 index. */
  readonly #votes = new Map<number, Map<number, number>>();

  static async of(places: Float64Array, ground: TableGround): Promise<Samples> {
    const samples = new Samples();
    const { source, scan, format } = ground;
    const ofOne = Math.max(1, Math.min(SAMPLES_OF_ONE, Math.floor(SAMPLES_MAX / places.length)));
    const taken: { cluster: number; table: number; entry: number }[] = [];
    await walkTables(source, places, format.geometry.clusterBytes, (index, words) => {
      const { pointers, copied } = contentsAsL2(words, scan);
      if (pointers === 0) return;
      const table = samples.tables.length;
      const at = places[index]!;
      const lastEntry = sampleEntries(words, pointers, ofOne, scan, (cluster, entry) => {
        taken.push({ cluster, table, entry });
      });
      samples.tables.push({ at, mapped: pointers, copied, lastEntry });
    });
    taken.sort((a, b) => a.cluster - b.cluster);
    samples.#clusters = Float64Array.from(taken, ({ cluster }) => cluster);
    samples.#tableOf = Uint32Array.from(taken, ({ table }) => table);
    samples.#entryOf = Uint32Array.from(taken, ({ entry }) => entry);
    return samples;
  }

  /** Every known table votes for its own L1 index where it has what a sampled one has. */
  async voteBy(indexes: ReadonlyMap<number, number>, ground: TableGround): Promise<void> {
    if (this.#clusters.length === 0) return;
    const { source, scan, format } = ground;
    const offsets = Float64Array.from(indexes.keys()).sort();
    await walkTables(source, offsets, format.geometry.clusterBytes, (table, words) => {
      const index = indexes.get(offsets[table]!)!;
      for (let i = 0; i < words.length; i += scan.stride) {
        const cluster = keyOf(words[i]!, words[i + 1]!);
        if (cluster !== 0) this.#vote(cluster, i / scan.stride, index);
      }
    });
  }

  #vote(cluster: number, entry: number, index: number): void {
    const clusters = this.#clusters;
    const first = firstNotBelow(clusters, cluster);
    for (let i = first; clusters[i] === cluster && i < first + ALIKE_MAX; i++) {
      if (this.#entryOf[i] !== entry) continue;
      const table = this.#tableOf[i]!;
      const votes = this.#votes.get(table) ?? new Map<number, number>();
      this.#votes.set(table, votes.set(index, (votes.get(index) ?? 0) + 1));
    }
  }

  electionOf(table: number): { index: number | undefined; votes: number } {
    const [best] = [...(this.#votes.get(table) ?? [])].sort((a, b) => b[1] - a[1]);
    return { index: best?.[0], votes: best?.[1] ?? 0 };
  }
}

/** Hands some entries that name a cluster to `take`, spread over the table. Returns the last one. */
function sampleEntries(
  words: Uint32Array,
  pointers: number,
  wanted: number,
  scan: Scan,
  take: (cluster: number, entry: number) => void,
): number {
  const step = Math.max(1, Math.floor(pointers / wanted));
  let [seen, taken, last] = [0, 0, 0];
  for (let i = 0; i < words.length; i += scan.stride) {
    const cluster = keyOf(words[i]!, words[i + 1]!);
    if (cluster === 0) continue;
    last = i / scan.stride;
    if (seen % step === 0 && taken < wanted) {
      take(cluster, last);
      taken += 1;
    }
    seen += 1;
  }
  return last;
}

/** What an entry names: compressed data by its descriptor, which nothing else has. */
function keyOf(high: number, low: number): number {
  if ((high & COMPRESSED) === 0) return offsetOf(high, low);
  return (high & 0x001f_ffff) * 2 ** 32 + low + 0.5;
}

function firstNotBelow(ascending: Float64Array, value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
