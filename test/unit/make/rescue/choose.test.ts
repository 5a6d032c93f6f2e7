import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { chooseRescued, isAllRescued } from '../../../../src/make/rescue/choose.js';
import type { RescuedDisk, RescuePlan } from '../../../../src/make/rescue/rescue-plan.js';

function disk(id: string, of: Partial<RescuedDisk> = {}): RescuedDisk {
  const kind = id === 'active' ? 'active' : 'snapshot';
  const none = {
    ...{ lostBytes: 0, lostVmStateBytes: 0, doubtfulBytes: 0 },
    ...{ tablesInDoubt: 0, sizeInDoubt: false },
  };
  return { id, kind, origin: 'named', sureness: 'certain', ...none, ...of } as RescuedDisk;
}

function planOf(disks: readonly RescuedDisk[], of: Partial<RescuePlan> = {}): RescuePlan {
  const evidence = { head: { from: 'header' } };
  return { evidence, snapshotsLost: 0, disks, ...of } as unknown as RescuePlan;
}

const idsOf = (disks: readonly RescuedDisk[]): readonly string[] => disks.map(({ id }) => id);

describe('which disks a rescue writes', () => {
  const plan = planOf([
    disk('active'),
    disk('snapshot-1', { sureness: 'likely' }),
    disk('snapshot-2', { sureness: 'guess', origin: 'rebuilt' }),
  ]);

  test('all but guesses, unless these are asked for', () => {
    expect(idsOf(chooseRescued(plan))).toEqual(['active', 'snapshot-1']);
    expect(idsOf(chooseRescued(plan, { take: ['snapshot-2'] }))).toHaveLength(3);
    expect(idsOf(chooseRescued(plan, { all: true }))).toHaveLength(3);
    expect(idsOf(chooseRescued(plan, { all: true, leave: ['active'] }))).toHaveLength(2);
  });

  test.each([{ take: ['lost-1'] }, { leave: ['lost-1'] }, { leave: ['active', 'snapshot-1'] }])(
    'refuses %j',
    (choice) => {
      let thrown: unknown;
      try {
        chooseRescued(plan, choice);
      } catch (error) {
        thrown = error;
      }
      expect(isQsnapError(thrown) && thrown.code).toBe('RESCUE_CHOICE_INVALID');
    },
  );
});

describe('whether all came back', () => {
  const whole = [disk('active'), disk('snapshot-1', { sureness: 'likely' })];

  test('it did where every disk is whole', () => {
    expect(isAllRescued(planOf(whole), whole)).toBe(true);
  });

  test.each([
    { lostBytes: 1 },
    { lostVmStateBytes: 1 },
    { doubtfulBytes: 1 },
    { sizeInDoubt: true },
    { tablesInDoubt: 1 },
    { sureness: 'guess' as const },
  ])('it did not with %j', (of) => {
    const disks = [disk('active', of)];
    expect(isAllRescued(planOf(disks), disks)).toBe(false);
  });

  test('it did not without an entry, a header or a disk that is named', () => {
    expect(isAllRescued(planOf(whole, { snapshotsLost: 1 }), whole)).toBe(false);
    const evidence = { head: { from: 'none' } } as RescuePlan['evidence'];
    expect(isAllRescued(planOf(whole, { evidence }), whole)).toBe(false);
    expect(isAllRescued(planOf(whole), whole.slice(0, 1))).toBe(false);
  });

  test('an old table may name what was deleted', () => {
    const old = disk('snapshot-2', { origin: 'old-table', sureness: 'guess' });
    expect(isAllRescued(planOf([...whole, old]), whole)).toBe(true);
  });
});
