import { throwIfAborted } from '../../base/abort.js';
import { wordsInPlace } from '../../base/words.js';
import { judgeL1Entry, offsetOf } from '../../l1l2/entry.js';
import type { L1Ref } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { readTable } from '../../refs/tables.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { FateCounts } from './candidate.js';
import { FATE, fatesOf, type FateGround } from './fates.js';
import type { Ground } from './ground.js';
import { liveTables, type LiveTables } from './live-tables.js';
import type { RemainsContents } from './remains-looks.js';

/** L1 tables of candidates that are looked into; each has an upper bound of its own, and all have one together. */
export const DISKS_MAX = 1024;
/** So many L1 entries are kept for all candidates. Ours. */
const ENTRIES_MAX = 2 ** 22;

/** What was found out about an L1 table that a disk may have had. */
export interface JudgedL1 {
  readonly ref: L1Ref;
  /** Whether the image uses its cluster for something else now. */
  readonly isReused: boolean;
  /** Entries that name a table. */
  readonly pointers: number;
  /** Of those, entries that can't be right. */
  readonly wrong: number;
  /** Of the others, those that lead to what looks like a table, or to one that is in use for the same part of a disk. */
  readonly leading: number;
  /** Of the others, those that lead to zeros. */
  readonly empty: number;
  /** Host offsets of the L2 tables that it leads to. */
  readonly tables: ReadonlySet<number>;
  readonly fates: FateCounts;
  /** Whether tables were left out: there are too many in all. */
  readonly isPartial: boolean;
}

/** No fates. */
export const NO_FATES: FateCounts = {
  kept: 0,
  held: 0,
  shared: 0,
  doubtful: 0,
  reused: 0,
  empty: 0,
  wrong: 0,
};

/** Judges L1 tables by what they lead to. Tables that several lead to are read once. */
export class DiskJudge {
  readonly #ground: Ground;
  readonly #contents: RemainsContents;
  readonly #live: ReadonlyMap<number, LiveTables>;
  /** By L1 index and host offset. */
  readonly #known = new Map<string, FateCounts>();
  readonly #budget: TableBudget;

  private constructor(
    ground: Ground,
    contents: RemainsContents,
    live: ReadonlyMap<number, LiveTables>,
  ) {
    this.#ground = ground;
    this.#contents = contents;
    this.#live = live;
    this.#budget = new TableBudget(ground);
  }

  /** Reads L1 tables and judges them, in order. Those that lie outside the file are judged as if they were empty. */
  static async judge(
    refs: readonly L1Ref[],
    ground: Ground,
    contents: RemainsContents,
    signal?: AbortSignal,
  ): Promise<readonly JudgedL1[]> {
    const words = await readL1s(refs, ground);
    const wanted = wantedIndexes(words);
    const live = await liveTables(ground, (index) => wanted.has(index));
    const judge = new DiskJudge(ground, contents, live);
    const judged = new Map<string, JudgedL1>();
    const keyOf = ({ at, entries }: L1Ref): string => `${at} ${entries}`;
    for (const [i, ref] of refs.entries()) {
      throwIfAborted(signal, 'the scan');
      if (judged.has(keyOf(ref))) continue;
      judged.set(keyOf(ref), await judge.#judgeOne(ref, words[i]!));
    }
    return refs.map((ref) => judged.get(keyOf(ref))!);
  }

  async #judgeOne(ref: L1Ref, words: Uint32Array): Promise<JudgedL1> {
    const { format, claimed } = this.#ground;
    const { clusterBytes } = format.geometry;
    const tables = new Set<number>();
    const sums = { ...NO_FATES };
    let [pointers, wrong, leading, empty] = [0, 0, 0, 0];
    let isPartial = false;
    for (let i = 0; i < words.length; i += 2) {
      const [high, low] = [words[i]!, words[i + 1]!];
      if ((high | low) === 0) continue;
      pointers += 1;
      const at = offsetOf(high, low);
      // No table serves two places.
      if (at === 0 || tables.has(at) || judgeL1Entry(high, low, format) !== undefined) {
        wrong += 1;
        continue;
      }
      const cluster = at / clusterBytes;
      const beside = this.#live.get(i / 2);
      const isLive = beside !== undefined && beside.others.has(at);
      if (this.#contents.isZero.has(cluster)) empty += 1;
      const isLike = isLive || (!claimed.has(cluster) && this.#contents.isTable.has(cluster));
      if (!isLike) continue;
      leading += 1;
      tables.add(at);
      const counts = await this.#fatesAt(i / 2, at);
      isPartial ||= counts === undefined;
      if (counts !== undefined) addTo(sums, counts);
    }
    const first = ref.at / clusterBytes;
    const isReused = Number.isInteger(first) && first < claimed.clusters && claimed.has(first);
    return { ref, isReused, pointers, wrong, leading, empty, tables, fates: sums, isPartial };
  }

  async #fatesAt(index: number, at: number): Promise<FateCounts | undefined> {
    const key = `${index} ${at}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const beside = [...(this.#live.get(index)?.others ?? [])];
    if (!this.#budget.take(beside.length + 1)) return undefined;
    const [words, ...others] = await readL2s([at, ...beside], this.#ground);
    const counts = countsOf(fatesOf(words!, { together: [], others }, this.fateGround));
    this.#known.set(key, counts);
    return counts;
  }

  get fateGround(): FateGround {
    return fateGroundOf(this.#ground, this.#contents);
  }
}

function wantedIndexes(tables: readonly Uint32Array[]): ClusterSet {
  const longest = tables.reduce((most, { length }) => Math.max(most, length / 2), 0);
  const wanted = new ClusterSet(longest);
  for (const words of tables) {
    for (let i = 0; i < words.length; i += 2) {
      if ((words[i]! | words[i + 1]!) !== 0) wanted.add(i / 2);
    }
  }
  return wanted;
}

/** How many L2 tables are read: a crafted file may name the same ones any number of times. */
export class TableBudget {
  #left: number;

  constructor({ format }: Pick<Ground, 'format'>) {
    this.#left = 4096 + 4 * format.fileClusters;
  }

  /** Whether so many more may be read. */
  take(tables: number): boolean {
    if (this.#left < tables) return false;
    this.#left -= tables;
    return true;
  }
}

/** L2 tables in host order. */
export async function readL2s(
  offsets: readonly number[],
  { source, format }: Pick<Ground, 'source' | 'format'>,
): Promise<readonly Uint32Array[]> {
  const tables = offsets.map((at) => ({ at, into: new Uint8Array(format.geometry.clusterBytes) }));
  await source.readBatch(tables);
  return tables.map(({ into }) => wordsInPlace(into));
}

/** What fates are told by. */
export function fateGroundOf(
  { scan, claimed, counted }: Ground,
  { isZero, isTable }: RemainsContents,
): FateGround {
  return { scan, claimed, counted, isZero, isTable };
}

/** How often each fate occurs. */
export function countsOf(fates: Uint8Array): FateCounts {
  const counts = new Uint32Array(Object.keys(FATE).length);
  for (const fate of fates) counts[fate]! += 1;
  return {
    kept: counts[FATE.kept]!,
    held: counts[FATE.held]!,
    shared: counts[FATE.shared]!,
    doubtful: counts[FATE.doubtful]!,
    reused: counts[FATE.reused]!,
    empty: counts[FATE.empty]!,
    wrong: counts[FATE.wrong]!,
  };
}

function addTo(sums: { -readonly [K in keyof FateCounts]: number }, more: FateCounts): void {
  for (const key of Object.keys(sums) as (keyof FateCounts)[]) sums[key] += more[key];
}

async function readL1s(refs: readonly L1Ref[], ground: Ground): Promise<readonly Uint32Array[]> {
  const { source, fileSizeBytes, format } = ground;
  let left = ENTRIES_MAX;
  const tables: Uint32Array[] = [];
  for (const { at, entries } of refs) {
    const isPlace = at > 0 && at % format.geometry.clusterBytes === 0 && at < fileSizeBytes;
    const inFile = isPlace ? Math.ceil((fileSizeBytes - at) / 8) : 0;
    const taken = Math.min(entries, inFile, LIMITS.l1BytesMax.value / 8, left);
    left -= taken;
    tables.push(await readTable(source, at, taken));
  }
  return tables;
}
