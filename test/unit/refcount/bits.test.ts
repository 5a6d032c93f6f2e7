import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maskOf, setBits, visitBits } from '../../../src/refcount/bits.js';

test('masks and bits', () => {
  expect([maskOf(0, 32), maskOf(0, 99), maskOf(4, 2), maskOf(30, 9) >>> 0]).toEqual([
    -1, -1, 0b110000, 0xc000_0000,
  ]);
  const bits: number[] = [];
  visitBits(0x8000_0011, (bit) => bits.push(bit));
  expect(bits).toEqual([0, 4, 31]);
});

test('the bits of clusters in a row, and no other', () => {
  const CLUSTERS = 160;
  const cluster = fc.nat(CLUSTERS);
  const range = fc.tuple(cluster, cluster);
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 3 }), (ranges) => {
      const words = new Uint32Array(CLUSTERS / 32);
      const model = new Set<number>();
      for (const [first, end] of ranges) {
        setBits(words, first, end);
        for (let i = first; i < end; i++) model.add(i);
      }
      for (let i = 0; i < CLUSTERS; i++) {
        expect((words[i >>> 5]! >>> (i & 31)) & 1, `cluster ${i}`).toBe(model.has(i) ? 1 : 0);
      }
    }),
    { numRuns: 500 },
  );
});
