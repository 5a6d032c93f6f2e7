import { expect, test } from 'vitest';
import { Excess } from '../../../../src/read/check/excess.js';

test('clusters with more refcounts than references are told by whether there are any', () => {
  const excess = new Excess(64);
  expect(excess.isEmpty).toBe(true);
  excess.addHigh(3, 0, 1);
  excess.addHigh(5, 2, 9);
  expect(excess.doubted).toBe(1);
  expect([excess.has(3), excess.has(5), excess.has(4), excess.has(64)]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect([excess.unreferencedClusters, excess.overcountedClusters]).toEqual([1, 1]);
  expect(excess.unreferenced.next(0)).toBe(3);
});

test('a block in which hardly any count is right says nothing about contradictions', () => {
  const compare = (used: number, low: number, high: number): Excess => {
    const excess = new Excess(64);
    excess.addUsed(used);
    for (let i = 0; i < low; i++) excess.addLow();
    for (let i = 0; i < high; i++) excess.addHigh(i, 1, 2);
    excess.endBlock();
    return excess;
  };
  expect(compare(32, 1, 1)).toMatchObject({ undercounted: 1, overcountedInSound: 1 });
  expect(compare(32, 16, 15)).toMatchObject({ undercounted: 0, overcountedInSound: 0 });
});
