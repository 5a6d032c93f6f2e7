import { expect, test } from 'vitest';
import { FindingCollector } from '../../../../src/read/check/collector.js';

const leak = (at: number) => ({ structure: 'refcount-block', at, found: 1, expected: 0 }) as const;

test('a thousand leaks never push the one corruption out, and all are counted', () => {
  const collector = new FindingCollector(10);
  for (let at = 0; at < 1000; at++) collector.add('CLUSTER_LEAKED', leak(at));
  collector.add('L2_ENTRY_MISALIGNED', { structure: 'active-l2', at: 7, facts: { entry: '0x1' } });
  const { findings, leftOut } = collector.finish();
  expect(findings.map(({ code }) => code)).toEqual([
    'L2_ENTRY_MISALIGNED',
    ...Array.from({ length: 9 }, () => 'CLUSTER_LEAKED'),
  ]);
  expect(leftOut).toEqual([{ code: 'CLUSTER_LEAKED', remedy: 'leaks', count: 991 }]);
  expect(collector.counts).toEqual({ corruption: 1, 'check-error': 0, leak: 1000, note: 0 });
});

test('what is kept is the gravest, and of each severity the first, in any order of coming', () => {
  const notes = (at: number) => ({ structure: 'active-l2', at, facts: { entry: '0x1' } }) as const;
  for (const order of [0, 1, 2]) {
    const collector = new FindingCollector(5);
    const steps = [
      () => {
        [1, 2, 3, 4, 5, 6].forEach((at) => {
          collector.add('ZERO_FLAG_MEANINGLESS', notes(at));
        });
      },
      () => {
        [1, 2, 3].forEach((at) => {
          collector.add('CLUSTER_LEAKED', leak(at));
        });
      },
      () => {
        [1, 2].forEach((at) => {
          collector.add('L2_ENTRY_MISALIGNED', notes(at));
        });
      },
    ];
    for (let i = 0; i < 3; i++) steps[(order + i) % 3]!();
    const { findings, leftOut } = collector.finish();
    expect(findings.map(({ severity, at }) => [severity, at])).toEqual([
      ['corruption', 1],
      ['corruption', 2],
      ['leak', 1],
      ['leak', 2],
      ['leak', 3],
    ]);
    expect(leftOut).toEqual([{ code: 'ZERO_FLAG_MEANINGLESS', remedy: 'manual', count: 6 }]);
  }
});

test('what is left out is named as what is kept: by its code once leaks are doubted', () => {
  const collector = new FindingCollector(3);
  for (let at = 0; at < 3; at++) {
    const where = { structure: 'active-l2', at, facts: { entry: '0x1' } } as const;
    collector.add('L2_ENTRY_MISALIGNED', where);
  }
  for (let at = 0; at < 5; at++) collector.add('CLUSTER_LEAKED', leak(at));
  collector.doubtLeaks();
  const lost = { code: 'CLUSTER_PERHAPS_LOST', remedy: 'perhaps-lost', count: 5 };
  expect(collector.finish().leftOut).toEqual([lost]);
});

test('what QEMU counts oftener counts so; what it does not look for counts apart', () => {
  const collector = new FindingCollector(10);
  const where = { structure: 'active-l2', at: 8, facts: { entry: '0x1', offset: '0x0' } } as const;
  collector.add('L2_ENTRY_PAST_END', { ...where, times: 3 });
  collector.add('METADATA_OVERLAP', { ...where, cluster: 4, times: 3, facts: { others: 1 } });
  collector.add('ZERO_FLAG_MEANINGLESS', where);
  expect(collector.counts).toMatchObject({ corruption: 3, note: 0 });
  expect(collector.beyondQemu).toMatchObject({ corruption: 1, note: 1 });
  expect(collector.losesData).toBe(true);
});
