import type { FateCounts, Reason, ReasonCode, Unnumbered } from './candidate.js';
import type { JudgedL1 } from './judge-disks.js';

/**
 * How much speaks for a candidate, from 0 to 100. What is certain in itself, such as an entry that parses, counts up to
 * a base; the rest is the share of the clusters that it names which still hold what they held.
 */

/** With so few pointers chance has a say: a cluster of guest data may hold a number or two that look like entries. */
const POINTERS_BY_CHANCE = 4;
/** Nothing that rests on so few counts for more than this. */
const BY_CHANCE_MAX = 20;

/** Clusters that still hold what they held, or most likely do. */
export function keptClusters({ kept, held, shared }: FateCounts): number {
  return kept + held + shared;
}

/** All clusters that were named. */
export function namedClusters(fates: FateCounts): number {
  return keptClusters(fates) + fates.doubtful + fates.reused + fates.empty + fates.wrong;
}

export function reason(code: ReasonCode, found: number, all = found): Reason {
  return { code, found, all };
}

/** The reasons that the fates of clusters give, those that occur. */
export function fateReasons(fates: FateCounts): readonly Reason[] {
  const all = namedClusters(fates);
  const reasons = [
    reason('data-kept', fates.kept, all),
    reason('data-shared', fates.held + fates.shared, all),
    reason('data-doubtful', fates.doubtful, all),
    reason('data-reused', fates.reused, all),
    reason('data-empty', fates.empty, all),
    reason('entries-wrong', fates.wrong, all),
  ];
  return reasons.filter(({ found }) => found > 0);
}

/**
 * How plausible a disk is by its L1 table.
 *
 * @param base what speaks for it besides: 40 where an entry of a snapshot table names it.
 */
export function diskPlausibility(
  { isReused, pointers, wrong, leading, fates }: JudgedL1,
  base: number,
): number {
  // The image has written something else over the table: nothing of the disk is known.
  if (isReused) return Math.min(10, base);
  if (pointers === 0) return Math.min(15, base);
  const sound = (pointers - wrong) / pointers;
  const leads = leading / pointers;
  const named = namedClusters(fates);
  const kept = named === 0 ? leads : keptClusters(fates) / named;
  const share = sound * leads * (0.4 + 0.6 * kept);
  const score = base * sound + (95 - base) * share;
  const isByChance = base === 0 && named + leading < POINTERS_BY_CHANCE;
  return Math.round(isByChance ? Math.min(score, BY_CHANCE_MAX) : score);
}

/**
 * How plausible an L2 table is that no L1 table leads to.
 *
 * @param ascending share of the entries that name a place behind that of the entry before.
 * @param isKnownPlace whether its content tells for which part of a disk it was.
 */
export function tablePlausibility(
  fates: FateCounts,
  ascending: number,
  isKnownPlace: boolean,
): number {
  const named = namedClusters(fates);
  if (named === 0) return 0;
  const kept = keptClusters(fates) / named;
  const sound = 1 - fates.wrong / named;
  const score = sound * (25 * ascending + 55 * kept + (isKnownPlace ? 15 : 0));
  return Math.round(named < POINTERS_BY_CHANCE ? Math.min(score, BY_CHANCE_MAX) : score);
}

/** The most plausible first, then by place. */
export function inOrder(candidates: readonly Unnumbered[]): readonly Unnumbered[] {
  return [...candidates].sort((a, b) => b.plausibility - a.plausibility || a.at - b.at);
}
