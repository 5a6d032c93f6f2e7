import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClusterSet } from '../../../src/refcount/cluster-set.js';

const CLUSTERS = 150;
const cluster = fc.nat(CLUSTERS - 1);
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), cluster }),
  fc.record({ kind: fc.constant('delete' as const), cluster }),
  fc.record({ kind: fc.constant('range' as const), cluster, length: fc.nat(100) }),
);

test('behaves as a Set does, whatever is added and deleted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const set = new ClusterSet(CLUSTERS);
      const model = new Set<number>();
      for (const one of steps) {
        if (one.kind === 'add') {
          set.add(one.cluster);
          model.add(one.cluster);
        } else if (one.kind === 'delete') {
          set.delete(one.cluster);
          model.delete(one.cluster);
        } else {
          const end = Math.min(one.cluster + one.length, CLUSTERS);
          set.addRange(one.cluster, end);
          for (let i = one.cluster; i < end; i++) model.add(i);
        }
      }
      for (let from = 0; from <= CLUSTERS; from++) {
        let next = from;
        while (next < CLUSTERS && !model.has(next)) next += 1;
        let missing = from;
        while (missing < CLUSTERS && model.has(missing)) missing += 1;
        if (from < CLUSTERS) expect(set.has(from)).toBe(model.has(from));
        expect(set.next(from), `next(${from})`).toBe(next);
        expect(set.nextMissing(from), `nextMissing(${from})`).toBe(missing);
        for (const end of [from + 1, from + 33]) {
          expect(set.nextMissing(from, end)).toBe(Math.min(missing, end, CLUSTERS));
        }
      }
    }),
  );
});

test('E2: clusters past 2^31 (1 TiB of 512-byte clusters) are found too', () => {
  const first = 2 ** 31;
  const set = new ClusterSet(first + 256);
  set.add(first + 100);
  expect(set.has(first + 100)).toBe(true);
  expect(set.nextMissing(first + 100)).toBe(first + 101);
  expect(set.next(first + 64)).toBe(first + 100);
  set.addRange(first + 64, first + 128);
  expect(set.nextMissing(first + 64)).toBe(first + 128);
});
