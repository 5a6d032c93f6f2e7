import { expect, test } from 'vitest';
import { FindingCollector } from '../../../src/check/collector.js';

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
  expect(leftOut).toBe(991);
  expect(collector.counts).toEqual({ corruption: 1, 'check-error': 0, leak: 1000, note: 0 });
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
