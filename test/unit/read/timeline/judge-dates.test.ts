/** What is odd about dates, clocks, ids and names: each code by a snapshot that has it and its neighbour that has not. */
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../../../src/qcow2/snapshot-table.js';
import type { Descent } from '../../../../src/read/sharing/ancestry.js';
import { ANOMALIES, type Anomaly } from '../../../../src/read/timeline/anomaly.js';
import { judgeDescents, judgeEntries } from '../../../../src/read/timeline/judge-dates.js';
import { compareDates, momentsOf } from '../../../../src/read/timeline/moments.js';

const text = new TextEncoder();
const SECOND = 1_000_000_000n;

interface Facts {
  readonly id?: string;
  readonly name?: string;
  readonly seconds?: number;
  readonly nanoseconds?: number;
  readonly clock?: bigint;
}

function snapshotsOf(...facts: readonly Facts[]): Snapshot[] {
  return facts.map((one, index) => {
    const { id = String(index + 1), name = `s${index}` } = one;
    const { seconds = 1000 + index, nanoseconds = 0, clock = 0n } = one;
    return {
      ...{ index, id, name, date: { seconds, nanoseconds }, vmClockNanoseconds: clock },
      ...{ idBytes: text.encode(id), nameBytes: text.encode(name) },
    } as Snapshot;
  });
}

const told = (found: readonly Anomaly[]): unknown[] =>
  found.map(({ code, snapshot, other, offNanoseconds }) => [
    ...[code, snapshot.index],
    ...(other === undefined ? [] : [other.index]),
    ...(offNanoseconds === undefined ? [] : [offNanoseconds]),
  ]);

const entries = (facts: readonly Facts[], modified?: { seconds: number; nanoseconds: number }) =>
  told(judgeEntries(snapshotsOf(...facts), modified));

describe('entries', () => {
  test('a list in order has nothing odd', () => {
    expect(entries([{}, {}, {}], { seconds: 1002, nanoseconds: 0 })).toEqual([]);
  });

  test.each<readonly [string, readonly Facts[], readonly unknown[]]>([
    ['a date of 0', [{ seconds: 0 }], [['DATE_ZERO', 0]]],
    ['a nanosecond is a date', [{ seconds: 0, nanoseconds: 1 }], []],
    ['nanoseconds that are a second', [{ nanoseconds: 1e9 }], [['NANOSECONDS_INVALID', 0]]],
    ['nanoseconds just below it', [{ nanoseconds: 999_999_999 }], []],
    [
      'a date before one with a lower id: the latest of them is named',
      [{ seconds: 5 }, { seconds: 9 }, { seconds: 7 }],
      [['DATE_BEFORE_LOWER_ID', 2, 1, 2n * SECOND]],
    ],
    ['equal dates', [{ seconds: 5 }, { seconds: 5 }], []],
    [
      'ids count as numbers, not as text',
      [
        { id: '9', seconds: 5 },
        { id: '10', seconds: 4 },
      ],
      [['DATE_BEFORE_LOWER_ID', 1, 0, SECOND]],
    ],
    [
      'a higher id before: only what comes after it is told',
      [{ id: '2' }, { id: '1', seconds: 999 }, { id: '3' }],
      [['ID_NOT_RISING', 1, 0]],
    ],
    ['ids that are no numbers are in no order', [{ id: 'b' }, { id: 'a', seconds: 1 }], []],
    [
      'an id that repeats, with an earlier date',
      [{ id: '1' }, { id: '1', seconds: 999 }],
      [['ID_REPEATED', 1, 0]],
    ],
    ['a name that repeats', [{ name: 'x' }, {}, { name: 'x' }], [['NAME_REPEATED', 2, 0]]],
  ])('%s', (_, facts, expected) => {
    expect(entries(facts)).toEqual(expected);
  });

  test('a date after the last write to the file, by more than a file system may round', () => {
    const modified = { seconds: 1000, nanoseconds: 5 };
    expect(entries([{ seconds: 1002, nanoseconds: 5 }], modified)).toEqual([]);
    expect(entries([{ seconds: 1002, nanoseconds: 6 }], modified)).toEqual([
      ['DATE_AFTER_FILE', 0, 2n * SECOND + 1n],
    ]);
  });
});

function descentOf(
  snapshots: readonly Snapshot[],
  index: number,
  parents: readonly number[],
): Descent {
  const [parent, ...alternatives] = parents.map((one) => snapshots[one]!);
  return {
    ...{ snapshot: snapshots[index], parent, alternatives, moreAlternatives: 0 },
    certainty: parents.length === 0 ? 'untold' : parents.length > 1 ? 'tied' : 'told',
    ...{ newBytes: 0, goneBytes: 0 },
  };
}

describe('descents', () => {
  const judged = (facts: readonly Facts[], parents: readonly number[]): unknown[] => {
    const snapshots = snapshotsOf(...facts);
    return told(judgeDescents([descentOf(snapshots, facts.length - 1, parents)]));
  };

  test('a child that is older than its parent', () => {
    expect(judged([{ seconds: 50 }, { seconds: 40 }], [0])).toEqual([
      ['DATE_BEFORE_PARENT', 1, 0, 10n * SECOND],
    ]);
    expect(judged([{ seconds: 50 }, { seconds: 50 }], [0])).toEqual([]);
    expect(judged([{ seconds: 50 }, { seconds: 40 }], [])).toEqual([]);
  });

  test('of several that may be the parent, all have to be younger', () => {
    const child = { seconds: 40 };
    expect(judged([{ seconds: 50 }, { seconds: 30 }, child], [0, 1])).toEqual([]);
    expect(judged([{ seconds: 50 }, { seconds: 45 }, child], [0, 1])).toEqual([
      ['DATE_BEFORE_PARENT', 2, 1, 5n * SECOND],
    ]);
  });

  test.each<readonly [string, bigint, bigint, readonly unknown[]]>([
    ['ran on for as long as passed', 100n, 110n, []],
    ['ran on for longer, within what clocks may be apart', 100n, 112n, []],
    ['ran on for longer', 100n, 113n, [['VM_CLOCK_TOO_FAST', 1, 0, 3n * SECOND]]],
    ['was started anew', 100n, 9n, [['VM_CLOCK_BACK', 1, 0, 91n * SECOND]]],
    [
      'was started anew, and ran longer than passed',
      100n,
      20n,
      [
        ['VM_CLOCK_TOO_FAST', 1, 0, 10n * SECOND],
        ['VM_CLOCK_BACK', 1, 0, 80n * SECOND],
      ],
    ],
    ['was taken without a guest', 100n, 0n, []],
  ])('the guest %s', (_, before, after, expected) => {
    const facts = [
      { seconds: 50, clock: before * SECOND },
      { seconds: 60, clock: after * SECOND },
    ];
    expect(judged(facts, [0])).toEqual(expected);
  });
});

test('moments are in the order of time, and what is equal in the order of the table', () => {
  const snapshots = snapshotsOf({ seconds: 7 }, { seconds: 7 }, { seconds: 6, nanoseconds: 1e9 });
  const host = {
    modified: { seconds: 8, nanoseconds: 0 },
    born: { seconds: -1, nanoseconds: 999_999_999 },
  };
  const moments = momentsOf(snapshots, host);
  expect(moments.map(({ kind, snapshot }) => snapshot?.index ?? kind)).toEqual([
    ...['file-born', 0, 1, 2, 'file-modified'],
  ]);
  expect(compareDates({ seconds: 1, nanoseconds: 1 }, { seconds: 1, nanoseconds: 2 })).toBeLessThan(
    0,
  );
});

test('every code has a level and words', () => {
  for (const { level, meaning } of Object.values(ANOMALIES)) {
    expect(['note', 'warning']).toContain(level);
    expect(meaning).not.toBe('');
  }
});
