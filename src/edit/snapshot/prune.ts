import { QsnapError } from '../../errors.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';

/** Which hour, day, week and month a moment lies in: equal texts mean the same one. */
export interface CalendarPeriods {
  readonly hour: string;
  readonly day: string;
  readonly week: string;
  readonly month: string;
}

/** What the choice needs of a snapshot: a program that keeps these needs the image no more. */
export type DatedSnapshot = Pick<Snapshot, 'index' | 'name' | 'date'>;

/** Which snapshots are to stay. What no rule keeps may go. */
export interface PruneRules<One extends DatedSnapshot = Snapshot> {
  /** So many of the newest. */
  readonly keepLast?: number | undefined;
  /** The newest of each of the last so many hours that have any. */
  readonly keepHourly?: number | undefined;
  readonly keepDaily?: number | undefined;
  readonly keepWeekly?: number | undefined;
  readonly keepMonthly?: number | undefined;
  /** Only snapshots from before this moment go: seconds since 1970. */
  readonly takenBefore?: number | undefined;
  /** Only these snapshots go, and only these are counted. Default: all. */
  readonly among?: ((snapshot: One) => boolean) | undefined;
  /** These stay, whatever the other rules say. */
  readonly keep?: ((snapshot: One) => boolean) | undefined;
}

/**
 * Why a snapshot stays: it is not among those that are looked at, or kept by its own rule, is too young, or is the newest
 * of a period.
 */
export type KeptBy =
  'not-among' | 'keep' | 'young' | 'last' | 'hourly' | 'daily' | 'weekly' | 'monthly';

/** What becomes of a snapshot. */
export interface PruneChoice<One extends DatedSnapshot = Snapshot> {
  readonly snapshot: One;
  /** Why it stays; empty where it goes. */
  readonly keptBy: readonly KeptBy[];
}

const PERIODS = [
  { rule: 'keepHourly', keptBy: 'hourly', period: 'hour' },
  { rule: 'keepDaily', keptBy: 'daily', period: 'day' },
  { rule: 'keepWeekly', keptBy: 'weekly', period: 'week' },
  { rule: 'keepMonthly', keptBy: 'monthly', period: 'month' },
] as const;

/**
 * Chooses which snapshots go by rules of age and number. A snapshot stays if any rule keeps it.
 *
 * ```ts
 * const image = await openImage(device);
 * const choices = choosePruned(image.snapshots, { keepLast: 3, keepDaily: 7 }, utcPeriods);
 * const gone = choices.filter(({ keptBy }) => keptBy.length === 0);
 * await executePlan(await planDelete(image, gone.map(({ snapshot }) => snapshot)));
 * ```
 *
 * @param periodsOf tells of seconds since 1970 which hour, day, week and month they lie in.
 * @returns a choice for each snapshot, in their order.
 * @throws QsnapError PRUNE_RULES_INVALID where no rule says what stays, or one is no number.
 */
export function choosePruned<One extends DatedSnapshot>(
  snapshots: readonly One[],
  rules: PruneRules<One>,
  periodsOf: (seconds: number) => CalendarPeriods,
): readonly PruneChoice<One>[] {
  refuseInvalid(rules);
  // No rule names a snapshot twice.
  const keptBy = new Map(snapshots.map((snapshot): [One, KeptBy[]] => [snapshot, []]));
  const note = (snapshot: One, why: KeptBy): void => {
    keptBy.get(snapshot)!.push(why);
  };
  const candidates: One[] = [];
  for (const snapshot of snapshots) {
    if (rules.among?.(snapshot) === false) note(snapshot, 'not-among');
    else candidates.push(snapshot);
    if (rules.keep?.(snapshot) === true) note(snapshot, 'keep');
    if (rules.takenBefore !== undefined && snapshot.date.seconds >= rules.takenBefore) {
      note(snapshot, 'young');
    }
  }
  const newestFirst = candidates.toSorted(byDate).reverse();
  for (const snapshot of newestFirst.slice(0, rules.keepLast ?? 0)) note(snapshot, 'last');
  const known = new Map<One, CalendarPeriods>();
  const periodsOfOne = (one: One): CalendarPeriods => {
    const periods = known.get(one) ?? periodsOf(one.date.seconds);
    known.set(one, periods);
    return periods;
  };
  for (const { rule, keptBy: why, period } of PERIODS) {
    const seen = new Set<string>();
    for (const snapshot of newestFirst) {
      if (seen.size >= (rules[rule] ?? 0)) break;
      const own = periodsOfOne(snapshot)[period];
      if (seen.has(own)) continue;
      seen.add(own);
      note(snapshot, why);
    }
  }
  return snapshots.map((snapshot) => ({ snapshot, keptBy: keptBy.get(snapshot)! }));
}

/** Oldest first; of the same date, as they are in the table. */
function byDate(a: DatedSnapshot, b: DatedSnapshot): number {
  const { seconds, nanoseconds } = a.date;
  return seconds - b.date.seconds || nanoseconds - b.date.nanoseconds || a.index - b.index;
}

function refuseInvalid(rules: PruneRules<never>): void {
  const { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, takenBefore } = rules;
  const numbers = { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, takenBefore };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  if (given.length === 0) {
    throw new QsnapError('PRUNE_RULES_INVALID', 'no rule says which snapshots stay', {
      expected: 'a number of snapshots to keep, or an age',
    });
  }
  const keepsNone = takenBefore === undefined && given.every(([, value]) => value === 0);
  if (keepsNone && rules.among === undefined && rules.keep === undefined) {
    throw new QsnapError('PRUNE_RULES_INVALID', 'the rules keep no snapshot at all', {
      expected: 'a number above 0, or names that are chosen',
    });
  }
  for (const [name, value] of given) {
    if (Number.isInteger(value) && value! >= 0) continue;
    throw new QsnapError('PRUNE_RULES_INVALID', `${name} is ${String(value)}`, {
      expected: 'a whole number from 0',
      actual: String(value),
    });
  }
}

const DAY_SECONDS = 86_400;
/** 1970-01-01 was a Thursday: weeks begin three days before it. */
const WEEK_OFFSET_DAYS = 3;

/**
 * Hours, days, weeks from Monday on, and months, in UTC.
 *
 * ```ts
 * console.log(utcPeriods(1_700_000_000).day); // 2023-11-14
 * ```
 */
export function utcPeriods(seconds: number): CalendarPeriods {
  const text = new Date(seconds * 1000).toISOString();
  const week = Math.floor((Math.floor(seconds / DAY_SECONDS) + WEEK_OFFSET_DAYS) / 7);
  return {
    hour: text.slice(0, 13),
    day: text.slice(0, 10),
    week: String(week),
    month: text.slice(0, 7),
  };
}
