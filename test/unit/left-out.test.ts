/** Slices of cases: what a plain run tries has a part of everything that it may not leave out. */
import { expect, test } from 'vitest';
import { IS_PLAIN, oneIn, oneInWithEach, THINNER } from '../support/left-out.js';

const CASES = Array.from({ length: 100 }, (_, i) => i);
/** As many kinds as there are tens, and one that a single case has. */
const kindsOf = (one: number): readonly string[] => [
  `${Math.floor(one / 10)}`,
  ...(one === 77 ? ['rare'] : []),
];

test('a slice is as long as its share says, and another one for each row', () => {
  const [first, second] = [oneIn(5, CASES, 0), oneIn(5, CASES, 1)];
  expect(Math.abs(first.length - (IS_PLAIN ? 20 / THINNER : 100))).toBeLessThan(2);
  expect(oneIn(5, CASES, 0)).toEqual(first);
  if (IS_PLAIN) expect(second).not.toEqual(first);
});

test('a slice is never empty', () => {
  for (let row = 0; row < 20; row++) expect(oneIn(50, [1, 2], row).length).toBeGreaterThan(0);
});

test('a slice with each kind has the slice, each kind, and every case once, in their order', () => {
  const chosen = oneInWithEach(25, CASES, kindsOf);
  expect(new Set(chosen.flatMap(kindsOf))).toEqual(new Set(CASES.flatMap(kindsOf)));
  expect(chosen).toEqual(expect.arrayContaining([...oneIn(25, CASES)]));
  expect(chosen).toEqual([...new Set(chosen)].sort((a, b) => a - b));
  expect(chosen.length).toBeLessThanOrEqual(IS_PLAIN ? 15 : 100);
});
