import { offsetOf } from '../../l1l2/entry.js';
import { walkL1Indexes } from './live-tables.js';
import type { Reason, Unnumbered } from './candidate.js';
import { bareCandidate } from './bare-candidate.js';
import { fatesOf } from './fates.js';
import type { FoundDisks } from './find-disks.js';
import type { Ground } from './ground.js';
import { countsOf, fateGroundOf, readL2s } from './judge-disks.js';
import { fateReasons, namedClusters, reason, tablePlausibility } from './plausibility.js';
import type { RemainsContents } from './remains-looks.js';
import { votedTables, type VotedTable } from './table-votes.js';

/** Tables that are judged. Ours. */
const TABLES_MAX = 16_384;
/** Tables that are read at a time. */
const BATCH_TABLES = 32;

/** Finds the tables that belong to no disk that was found: L2 tables, and old refcount tables. */
export async function findTables(
  ground: Ground,
  contents: RemainsContents,
  { explained }: FoundDisks,
): Promise<readonly Unnumbered[]> {
  const { clusterBytes } = ground.format.geometry;
  const places = contents.tables
    .filter((at) => !explained.has(at / clusterBytes))
    .slice(0, TABLES_MAX);
  if (places.length === 0) return [];
  const indexes = await walkL1Indexes(ground);
  const beside = new Map<number, number[]>();
  for (const [at, index] of indexes) beside.set(index, [...(beside.get(index) ?? []), at]);
  const blocks = new Set([...ground.blocks, ...contents.refcountBlocks]);
  blocks.delete(0);
  const voted = await votedTables(places, indexes, ground);
  const found: Unnumbered[] = [];
  for (let first = 0; first < voted.length; first += BATCH_TABLES) {
    const batch = voted.slice(first, first + BATCH_TABLES);
    const words = await readL2s(
      batch.map(({ at }) => at),
      ground,
    );
    for (const [i, table] of batch.entries()) {
      const own = words[i]!;
      const candidate =
        refcountTable(table, own, blocks, ground) ??
        (await l2Table(table, own, beside, ground, contents));
      found.push(candidate);
    }
  }
  return found.filter(({ plausibility }) => plausibility > 0);
}

/** A refcount table has pointers to refcount blocks, and nothing else. */
function refcountTable(
  { at }: VotedTable,
  words: Uint32Array,
  blocks: ReadonlySet<number>,
  ground: Ground,
): Unnumbered | undefined {
  let [pointers, leading] = [0, 0];
  for (let i = 0; i < words.length; i += 2) {
    if ((words[i]! | words[i + 1]!) === 0) continue;
    pointers += 1;
    if (words[i]! >>> 24 === 0 && blocks.has(offsetOf(words[i]!, words[i + 1]!))) leading += 1;
  }
  if (leading === 0 || leading * 2 < pointers) return undefined;
  return {
    ...bareCandidate(ground, 'refcount-table', at),
    plausibility: Math.round((90 * leading) / pointers),
    reasons: [reason('leads-to-refcounts', leading, pointers)],
  };
}

async function l2Table(
  { at, index, votes, mapped }: VotedTable,
  words: Uint32Array,
  beside: ReadonlyMap<number, readonly number[]>,
  ground: Ground,
  contents: RemainsContents,
): Promise<Unnumbered> {
  const { scan } = ground;
  const like = index === undefined ? [] : (beside.get(index) ?? []);
  const others = await readL2s(like.slice(0, BATCH_TABLES), ground);
  const fates = countsOf(fatesOf(words, { together: [], others }, fateGroundOf(ground, contents)));
  const [ascending, pairs] = inOrderPairs(words, scan.stride);
  const share = pairs === 0 ? 0 : ascending / pairs;
  const isFew = namedClusters(fates) < 4;
  const reasons: readonly Reason[] = [
    ...fateReasons(fates),
    ...(pairs > 0 ? [reason('in-order', ascending, pairs)] : []),
    ...(index === undefined ? [] : [reason('data-shared', votes, mapped)]),
    ...(isFew ? [reason('few-entries', namedClusters(fates))] : []),
  ];
  return {
    ...bareCandidate(ground, 'l2-table', at),
    plausibility: tablePlausibility(fates, share, index !== undefined),
    reasons: once(reasons),
    fates,
  };
}

/** Of reasons with one code the first. */
function once(reasons: readonly Reason[]): readonly Reason[] {
  return reasons.filter(({ code }, i) => reasons.findIndex((one) => one.code === code) === i);
}

/** How many of the entries name a place behind that of the entry before, of all that have one before them. */
function inOrderPairs(
  words: Uint32Array,
  stride: number,
): readonly [ascending: number, all: number] {
  let [before, ascending, all] = [0, 0, 0];
  for (let i = 0; i < words.length; i += stride) {
    const at = offsetOf(words[i]!, words[i + 1]!);
    if (at === 0) continue;
    if (before !== 0) {
      all += 1;
      if (at > before) ascending += 1;
    }
    before = at;
  }
  return [ascending, all];
}
