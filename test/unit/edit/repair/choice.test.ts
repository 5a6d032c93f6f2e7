import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { choseClass, choseFinding, parseRepairWords } from '../../../../src/edit/repair/choice.js';

describe('words of a repair', () => {
  test('nothing said means all', () => {
    expect(parseRepairWords([])).toEqual({ classes: ['all'] });
  });

  test('classes and findings, with an offset in both ways of writing numbers', () => {
    const words = ['leaks', 'L2_COPIED_SET', 'CLUSTER_LEAKED@4096', 'REFCOUNT_ZERO@0x20f'];
    expect(parseRepairWords(words)).toEqual({
      classes: ['leaks'],
      findings: [
        { code: 'L2_COPIED_SET', at: undefined },
        { code: 'CLUSTER_LEAKED', at: 4096 },
        { code: 'REFCOUNT_ZERO', at: 0x20f },
      ],
    });
  });

  test.each(['everything', 'LEAKS', 'CLUSTER_LEAKED@', 'CLUSTER_LEAKED@-1', 'toString', ''])(
    '"%s" is neither',
    (word) => {
      let thrown: unknown;
      try {
        parseRepairWords(['all', word]);
      } catch (error) {
        thrown = error;
      }
      expect(isQsnapError(thrown) && thrown.code).toBe('REPAIR_CHOICE_INVALID');
    },
  );
});

test('a finding is chosen by its code, and by its place where one is given', () => {
  const choice = {
    classes: ['leaks'],
    findings: [
      { code: 'L2_COPIED_SET', at: 8 },
      { code: 'L1_COPIED_SET', at: undefined },
    ],
  } as const;
  expect(choseFinding(choice, ['L2_COPIED_SET'], 8)).toBe(true);
  expect(choseFinding(choice, ['L2_COPIED_SET'], 16)).toBe(false);
  expect(choseFinding(choice, ['L2_ENTRY_PAST_END', 'L1_COPIED_SET'], 16)).toBe(true);
  expect(choseFinding({ classes: ['all'] }, ['L2_COPIED_SET'], 8)).toBe(false);
  expect([choseClass(choice, 'leaks'), choseClass(choice, 'all')]).toEqual([true, false]);
});
