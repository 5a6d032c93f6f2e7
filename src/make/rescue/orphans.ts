import { walkTables } from '../../refs/tables.js';
import { COMPRESSED, offsetOf } from '../../l1l2/entry.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { clusterAt, isInUse, type Evidence } from './evidence.js';
import { luksRegions } from './luks-region.js';
import type { Root } from './root.js';
import { contentsAsL2 } from './table-contents.js';

/** An L2 table that no L1 table leads to, and where its content says that it belongs. */
export interface Orphan {
  readonly at: number;
  /** Guest clusters that it maps. */
  readonly mapped: number;
  /** Entries with the COPIED flag: a table of the active disk has them. */
  readonly copied: number;
  /** The last entry in use. */
  readonly lastEntry: number;
  /** By the refcounts: whether the table is in use; undefined where they say nothing. */
  readonly isInUse: boolean | undefined;
  /** L1 index at which another table maps the most of the same clusters, and how many of those tried. */
  readonly index: number | undefined;
  readonly votes: number;
}

/** So many samples are taken of all orphans together, unless they are more, and of one at most so many. */
const SAMPLES_MAX = 2 ** 18;
const SAMPLES_OF_ONE = 32;
/** Orphans that name one cluster: of more than so many, the others get no votes by it. */
const ALIKE_MAX = 64;

/**
 * Finds the L2 tables that no L1 table leads to, and the L1 index that each belongs to. The index is told by
 * likeness: when a guest writes after a snapshot, its L2 table is copied, and most entries of the copy stay as they
 * are in the snapshot's table. So the orphan belongs to the index of the known table that is most like it.
 *
 * @param isTaken whether a cluster has a known use: for tables, refcounts or guest data.
 */
export async function findOrphans(
  roots: readonly Root[],
  isTaken: (cluster: number) => boolean,
  evidence: Evidence,
): Promise<readonly Orphan[]> {
  const { swept } = evidence;
  const places = swept.tables.filter((at) => !isTaken(clusterAt(at, evidence)));
  const samples = await Samples.of(places, evidence);
  await samples.voteBy(roots, evidence);
  return samples.orphans.map((orphan, i) => ({ ...orphan, ...samples.electionOf(i) }));
}

/** A few entries of each orphan, by the cluster that they name. */
class Samples {
  readonly orphans: Omit<Orphan, 'index' | 'votes'>[] = [];
  /** Clusters, ascending, and beside each the orphan and the entry. */
  #clusters = new Float64Array(0);
  #orphanOf = new Uint32Array(0);
  #entryOf = new Uint32Array(0);
  /** By orphan: votes for each L1 index. */
  readonly #votes = new Map<number, Map<number, number>>();

  static async of(places: Float64Array, evidence: Evidence): Promise<Samples> {
    const samples = new Samples();
    const { source, scan, format } = evidence;
    const ofOne = Math.max(1, Math.min(SAMPLES_OF_ONE, Math.floor(SAMPLES_MAX / places.length)));
    const taken: { cluster: number; orphan: number; entry: number }[] = [];
    await walkTables(source, places, format.geometry.clusterBytes, (index, words) => {
      const { pointers, copied } = contentsAsL2(words, scan);
      if (pointers === 0) return;
      const orphan = samples.orphans.length;
      const at = places[index]!;
      const lastEntry = sampleEntries(words, pointers, ofOne, evidence, (cluster, entry) => {
        taken.push({ cluster, orphan, entry });
      });
      samples.orphans.push({
        at,
        mapped: pointers,
        copied,
        lastEntry,
        isInUse: isInUse(at, evidence),
      });
    });
    taken.sort((a, b) => a.cluster - b.cluster);
    samples.#clusters = Float64Array.from(taken, ({ cluster }) => cluster);
    samples.#orphanOf = Uint32Array.from(taken, ({ orphan }) => orphan);
    samples.#entryOf = Uint32Array.from(taken, ({ entry }) => entry);
    return samples;
  }

  /** Every table of the roots votes for its own L1 index where it has what an orphan has. */
  async voteBy(roots: readonly Root[], evidence: Evidence): Promise<void> {
    if (this.#clusters.length === 0) return;
    const indexes = new Map<number, number>();
    for (const { tables } of roots) {
      tables.forEach((at, index) => {
        if (at > 0 && !indexes.has(at)) indexes.set(at, index);
      });
    }
    const { source, scan, format } = evidence;
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
      const orphan = this.#orphanOf[i]!;
      const votes = this.#votes.get(orphan) ?? new Map<number, number>();
      this.#votes.set(orphan, votes.set(index, (votes.get(index) ?? 0) + 1));
    }
  }

  electionOf(orphan: number): { index: number | undefined; votes: number } {
    const [best] = [...(this.#votes.get(orphan) ?? [])].sort((a, b) => b[1] - a[1]);
    return { index: best?.[0], votes: best?.[1] ?? 0 };
  }
}

/** Hands some entries that name a cluster to `take`, spread over the table. Returns the last one. */
function sampleEntries(
  words: Uint32Array,
  pointers: number,
  wanted: number,
  { scan }: Evidence,
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

/** Clusters that the L1 tables, the refcounts and the L2 tables of roots lie in. */
export function addMetadata(set: ClusterSet, roots: readonly Root[], evidence: Evidence): void {
  const { clusterBytes } = evidence.format.geometry;
  set.add(0);
  for (const cluster of evidence.refcounts.owned) if (cluster < set.clusters) set.add(cluster);
  addRegions(set, luksRegions(evidence.head), clusterBytes);
  for (const { l1At, tables } of roots) {
    if (l1At !== undefined) {
      // Behind the last entry in use may lie what the header wrongly takes for a part of the table.
      const entries = tables.findLastIndex((at) => at !== 0) + 1;
      addRegions(set, [{ at: l1At, bytes: Math.max(1, entries * 8) }], clusterBytes);
    }
    for (const at of tables) {
      const cluster = at / clusterBytes;
      if (at > 0 && evidence.swept.isTable.has(cluster)) set.add(cluster);
    }
  }
}

/** Adds the clusters of regions, as far as they lie in the file. */
export function addRegions(
  set: ClusterSet,
  regions: Evidence['ownRegions'],
  clusterBytes: number,
): void {
  for (const { at, bytes } of regions) {
    const first = Math.floor(at / clusterBytes);
    set.addRange(first, Math.min(first + Math.ceil(bytes / clusterBytes), set.clusters));
  }
}
