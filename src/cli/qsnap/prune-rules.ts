import type { DatedSnapshot, PruneRules } from '../../index.js';
import { isLike } from './patterns.js';

/** The options that say which snapshots are to stay. */
export interface PruneRuleFlags {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  /** Seconds. */
  readonly olderThan?: number;
  readonly name?: readonly string[];
  readonly keep?: readonly string[];
}

/** The rules that the options stand for at a moment. */
export function pruneRules(flags: PruneRuleFlags, now: Date): PruneRules<DatedSnapshot> {
  const { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, olderThan } = flags;
  const among = matcherOf(flags.name);
  const keep = matcherOf(flags.keep);
  const takenBefore =
    olderThan === undefined ? undefined : Math.max(0, Math.ceil(now.getTime() / 1000) - olderThan);
  return { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, takenBefore, among, keep };
}

/** Whether a name is like one of the patterns. */
function matcherOf(
  patterns: readonly string[] | undefined,
): ((snapshot: DatedSnapshot) => boolean) | undefined {
  if (patterns === undefined) return undefined;
  return ({ name }) => patterns.some((pattern) => isLike(name, pattern));
}
