import { readTable } from '../../refs/tables.js';
import { judgeL1Entry, offsetOf } from '../../l1l2/entry.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { FATE, FATES, fatesOf, type Fate } from './fates.js';
import { fateGroundOf, readL2s, TableBudget } from './judge-disks.js';
import { liveTables, type LiveTables } from './live-tables.js';
import type { ScanBasis } from './scan-image.js';

/**
 * What the bytes of a recovered disk are.
 *
 * - `candidate`: what the disk held, as far as anything tells;
 * - `unknown`: what it held, or what was written there since; or zeros that it held or that were put in its place;
 * - `reused`: the image has used the place for something else since: zeros are in its place;
 * - `none`: the disk had nothing there: zeros, or what its backing file has.
 */
export type RecoveredState = 'candidate' | 'unknown' | 'reused' | 'none';

/** Why a range is in its state: the fate of its clusters, or of the L2 table that names them. */
export type RecoveredWhy = Fate | 'table-shared' | 'table-reused' | 'table-empty';

/** Guest bytes from `start` on. */
export interface RecoveredRange {
  readonly start: number;
  readonly length: number;
  readonly state: RecoveredState;
  readonly why: RecoveredWhy;
}

const STATE: Readonly<Record<RecoveredWhy, RecoveredState>> = {
  none: 'none',
  kept: 'candidate',
  held: 'candidate',
  shared: 'unknown',
  doubtful: 'unknown',
  empty: 'unknown',
  reused: 'reused',
  wrong: 'reused',
  'table-shared': 'unknown',
  'table-reused': 'reused',
  'table-empty': 'unknown',
};

/**
 * What became of each part of the disk of a deleted snapshot, from its first byte to its last, without gaps. Behind the
 * end of the disk comes its VM state.
 *
 * ```ts
 * const { basis, candidates } = await scanImage(device);
 * const { snapshot } = imageWithCandidate(basis, candidates[0]!);
 * for await (const { start, length, state } of recoveredRanges(basis, snapshot, candidates[0]!.beside)) {
 *   console.log(start, length, state);
 * }
 * ```
 *
 * @param beside of the candidate: snapshots that were there together with it.
 * @throws QsnapError READ_FAILED.
 */
export async function* recoveredRanges(
  basis: ScanBasis,
  disk: Pick<Snapshot, 'l1' | 'diskSizeBytes' | 'date'>,
  beside: readonly number[] = [],
): AsyncGenerator<RecoveredRange> {
  const { source, format, fileSizeBytes } = basis.ground;
  const { clusterBytes, l2CoverageBytes } = format.geometry;
  const { at, entries } = disk.l1;
  const tables = Math.max(0, Math.min(entries, Math.ceil((fileSizeBytes - at) / 8)));
  const words = await readTable(source, at, tables);
  const live = await liveTables(
    basis.ground,
    (index) => index < tables,
    ({ date, l1 }) => beside.includes(l1.at) || isBefore(date, disk.date),
  );
  const diskEntries = l1EntriesFor(disk.diskSizeBytes, format.geometry);
  const joined = new JoinedRanges();
  const seen = new Set<number>();
  const budget = new TableBudget(basis.ground);
  for (let index = 0; index < tables; index += 1) {
    const start = index * l2CoverageBytes;
    // The last table of the disk maps more than the disk has.
    const isOfDisk = index < diskEntries;
    const end = isOfDisk
      ? Math.min(start + l2CoverageBytes, disk.diskSizeBytes)
      : start + l2CoverageBytes;
    const [high, low] = [words[2 * index]!, words[2 * index + 1]!];
    const table = offsetOf(high, low);
    // No table serves two places.
    const isTwice = table !== 0 && seen.has(table);
    seen.add(table);
    const l1Fate = fateOfL1(at + index * 8, basis);
    const fates =
      l1Fate ?? (isTwice ? 'wrong' : await fatesBehind(high, low, live.get(index), basis, budget));
    if (typeof fates === 'string') {
      yield* joined.add(start, end, fates);
      continue;
    }
    for (let at = start, entry = 0; at < end; at += clusterBytes, entry += 1) {
      yield* joined.add(at, Math.min(at + clusterBytes, end), FATES[fates[entry]!]!);
    }
  }
  // The L1 table is shorter than the disk, or cut off.
  yield* joined.add(tables * l2CoverageBytes, disk.diskSizeBytes, 'none');
  yield* joined.rest();
}

/** The fates of what an L1 entry leads to: one for all, or by the entries of its L2 table. */
async function fatesBehind(
  high: number,
  low: number,
  inUse: LiveTables = NO_TABLES,
  { ground, contents }: ScanBasis,
  budget: TableBudget,
): Promise<RecoveredWhy | Uint8Array> {
  const { format, claimed } = ground;
  if ((high | low) === 0) return 'none';
  const table = offsetOf(high, low);
  if (table === 0 || judgeL1Entry(high, low, format) !== undefined) return 'wrong';
  // It may be another table by now, in the place of the one that was freed.
  if (!inUse.together.has(table) && inUse.others.has(table)) return 'table-shared';
  if (!inUse.together.has(table)) {
    const cluster = table / format.geometry.clusterBytes;
    if (claimed.has(cluster)) return 'table-reused';
    if (contents.isZero.has(cluster)) return 'table-empty';
    // Something else was written there, and freed since.
    if (!contents.isTable.has(cluster)) return 'table-reused';
  }
  const together = [...inUse.together];
  // Of a file that was made to take for ever the rest is not known.
  if (!budget.take(1 + together.length + inUse.others.size)) return 'table-shared';
  const [words, ...others] = await readL2s([table, ...together, ...inUse.others], ground);
  const besides = {
    together: others.slice(0, together.length),
    others: others.slice(together.length),
  };
  const fates = fatesOf(words!, besides, fateGroundOf(ground, contents));
  const isDamaged = ground.image === undefined || ground.image.unread.length > 0;
  // With an entry that can't be right the table is not what it was; of a damaged image nobody knows who has a cluster.
  return isDamaged || fates.includes(FATE.wrong) ? fates.map(withDoubt) : fates;
}

const withDoubt = (fate: number): number =>
  fate === FATE.kept || fate === FATE.held ? FATE.doubtful : fate;

/** What became of the cluster of the L1 table that an entry lies in; undefined where it is there. */
function fateOfL1(at: number, { ground, contents }: ScanBasis): RecoveredWhy | undefined {
  const cluster = Math.floor(at / ground.format.geometry.clusterBytes);
  if (ground.claimed.has(cluster)) return 'table-reused';
  return contents.isZero.has(cluster) ? 'table-empty' : undefined;
}

const NO_TABLES: LiveTables = { together: new Set(), others: new Set() };

function isBefore(a: Snapshot['date'], b: Snapshot['date']): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds < b.nanoseconds);
}

/** Joins neighbours of one fate. */
class JoinedRanges {
  #open: { start: number; end: number; why: RecoveredWhy } | undefined;

  *add(start: number, end: number, why: RecoveredWhy): Generator<RecoveredRange> {
    if (end <= start) return;
    if (this.#open?.why === why && this.#open.end === start) {
      this.#open.end = end;
      return;
    }
    yield* this.rest();
    this.#open = { start, end, why };
  }

  *rest(): Generator<RecoveredRange> {
    if (this.#open === undefined) return;
    const { start, end, why } = this.#open;
    this.#open = undefined;
    yield { start, length: end - start, state: STATE[why], why };
  }
}
