import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../../src/read/check/finding.js';
import {
  nearestOf,
  suspectOf,
  type FoundNeighbour,
} from '../../../../src/read/check/pointer-hints.js';

const CLUSTER = 2 ** 16;

const finding = (told: Partial<Finding>): Finding => ({
  ...{ code: 'L1_ENTRY_PAST_END', severity: 'corruption', beyondQemu: false, remedy: 'unreadable' },
  ...{ structure: 'active-l1', at: 0, cluster: undefined, times: 1, facts: {}, owners: [] },
  ...{ found: undefined, expected: undefined, ownersLeftOut: 0, hint: undefined },
  ...{ message: '', consequence: '', advice: '' },
  ...told,
});

describe('what a finding says of a pointer', () => {
  test('an entry by its offset, a snapshot by what is stored', () => {
    const facts = { entry: '0x8000010000030000', offset: '0x10000030000' };
    const entry = finding({ facts });
    const l1 = finding({ code: 'SNAPSHOT_L1_MISALIGNED', found: '0x30200', facts: { size: 16 } });
    expect(suspectOf(entry, CLUSTER)).toEqual({
      ...{ offset: 0x100_0003_0000n, target: 'l2', bytes: CLUSTER },
    });
    expect(suspectOf(l1, CLUSTER)).toEqual({ offset: 0x3_0200n, target: 'l1', bytes: 16 });
  });

  test('nothing of what is no pointer, or none to a cluster', () => {
    const compressed = { entry: '0x4100000000030000', offset: '0x10000030000' };
    const l2 = { code: 'L2_ENTRY_PAST_END', structure: 'active-l2', facts: compressed } as const;
    expect(suspectOf(finding(l2), CLUSTER)).toBeUndefined();
    const table = { code: 'METADATA_PAST_END', structure: 'refcount-table' } as const;
    expect(suspectOf(finding({ ...table, facts: { offset: '0x0' } }), CLUSTER)).toBeUndefined();
    expect(suspectOf(finding({ code: 'L1_ENTRY_RESERVED_BITS' }), CLUSTER)).toBeUndefined();
    const noTable = {
      code: 'SNAPSHOT_L1_MISALIGNED',
      found: '0x30200',
      facts: { size: 0 },
    } as const;
    expect(suspectOf(finding(noTable), CLUSTER)).toBeUndefined();
  });
});

describe('the nearest', () => {
  const at = (place: number, more: Partial<FoundNeighbour> = {}): FoundNeighbour => ({
    ...{ at: place, entries: 1, isMissed: false, ...more },
  });

  test('is what the refcounts miss, then the fuller table', () => {
    const missed = at(1, { isMissed: true });
    expect(nearestOf([at(3, { entries: 9 }), missed])).toBe(missed);
    const full = at(2, { entries: 50 });
    expect(nearestOf([at(1), full, at(3)])).toBe(full);
    expect(nearestOf([])).toBeUndefined();
  });

  test('is none of two places for data', () => {
    const data = { entries: undefined, isMissed: true };
    expect(nearestOf([at(1, data), at(2, data)])).toBeUndefined();
    expect(nearestOf([at(1, data)])).toEqual(at(1, data));
  });
});
