import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  choosePruned,
  utcPeriods,
  type CalendarPeriods,
  type PruneRules,
} from '../../../../src/edit/snapshot/prune.js';
import type { Snapshot } from '../../../../src/qcow2/snapshot-table.js';

function snapshotsAt(dates: readonly number[]): readonly Snapshot[] {
  return dates.map((seconds, index) => {
    return { index, name: `s${index}`, date: { seconds, nanoseconds: 0 } } as Snapshot;
  });
}

/** By plain loops: whether a snapshot is the newest of one of the last `count` periods. */
function isNewestOf(
  snapshot: Snapshot,
  all: readonly Snapshot[],
  period: keyof CalendarPeriods,
  count: number,
): boolean {
  const of = ({ date }: Snapshot): string => utcPeriods(date.seconds)[period];
  const isNewer = (a: Snapshot, b: Snapshot): boolean =>
    a.date.seconds > b.date.seconds || (a.date.seconds === b.date.seconds && a.index > b.index);
  if (all.some((other) => of(other) === of(snapshot) && isNewer(other, snapshot))) return false;
  const newer = new Set(all.filter((other) => isNewer(other, snapshot)).map(of));
  return newer.size < count;
}

const dates = fc.array(fc.integer({ min: 1_699_000_000, max: 1_706_000_000 }), { maxLength: 40 });
const count = fc.option(fc.nat(6), { nil: undefined });
const rules = fc.record({
  keepLast: count,
  keepHourly: count,
  keepDaily: count,
  keepWeekly: count,
  keepMonthly: count,
  takenBefore: fc.option(fc.integer({ min: 1_699_000_000, max: 1_706_000_000 }), {
    nil: undefined,
  }),
});

test('each rule keeps what plain loops say', () => {
  fc.assert(
    fc.property(dates, rules, (seconds, wanted: PruneRules) => {
      fc.pre(Object.values(wanted).some((value) => value !== undefined));
      const all = snapshotsAt(seconds);
      const even = ({ index }: Snapshot): boolean => index % 2 === 0;
      const seldom = ({ index }: Snapshot): boolean => index % 11 === 0;
      const choices = choosePruned(all, { ...wanted, among: even, keep: seldom }, utcPeriods);
      const candidates = all.filter(even);
      expect(choices.map(({ snapshot }) => snapshot)).toEqual(all);
      for (const { snapshot, keptBy } of choices) {
        const isCandidate = even(snapshot);
        const rank = candidates.filter((other) => {
          const later = other.date.seconds - snapshot.date.seconds || other.index - snapshot.index;
          return later > 0;
        }).length;
        const newest = (period: keyof CalendarPeriods, most = 0): boolean =>
          isCandidate && isNewestOf(snapshot, candidates, period, most);
        const expected = [
          ['not-among', !isCandidate],
          ['keep', seldom(snapshot)],
          ['young', snapshot.date.seconds >= (wanted.takenBefore ?? Infinity)],
          ['last', isCandidate && rank < (wanted.keepLast ?? 0)],
          ['hourly', newest('hour', wanted.keepHourly)],
          ['daily', newest('day', wanted.keepDaily)],
          ['weekly', newest('week', wanted.keepWeekly)],
          ['monthly', newest('month', wanted.keepMonthly)],
        ] as const;
        expect(keptBy).toEqual(expected.filter(([, is]) => is).map(([why]) => why));
      }
    }),
  );
});

describe('rules that say nothing, or nonsense', () => {
  test.each([
    [{}],
    [{ keep: () => true }],
    [{ keepLast: -1 }],
    [{ keepDaily: 1.5 }],
    [{ takenBefore: NaN }],
  ])('%j', (wanted: PruneRules) => {
    expect(() => choosePruned(snapshotsAt([1]), wanted, utcPeriods)).toThrow(
      expect.objectContaining({ code: 'PRUNE_RULES_INVALID' }),
    );
  });
});

test('periods in UTC: weeks begin on Monday', () => {
  const at = (text: string): number => Date.parse(text) / 1000;
  const sunday = utcPeriods(at('2023-11-19T23:59:59Z'));
  const monday = utcPeriods(at('2023-11-20T00:00:00Z'));
  expect(sunday.week).not.toBe(monday.week);
  expect(utcPeriods(at('2023-11-13T00:00:00Z')).week).toBe(sunday.week);
  expect(monday).toMatchObject({ hour: '2023-11-20T00', day: '2023-11-20', month: '2023-11' });
});

test('a date, a name and a position are enough of a snapshot', () => {
  const kept = [3, 1, 2].map((seconds, index) => {
    return { index, name: `s${index}`, date: { seconds, nanoseconds: 0 }, row: index + 100 };
  });
  const choices = choosePruned(kept, { keepLast: 1, keep: ({ row }) => row === 101 }, utcPeriods);
  expect(choices.filter(({ keptBy }) => keptBy.length === 0)).toEqual([
    { snapshot: kept[2], keptBy: [] },
  ]);
});
