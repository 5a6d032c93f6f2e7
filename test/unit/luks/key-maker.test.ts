import { expect, test } from 'vitest';
import { digestRoundsOf, roundsOf } from '../../../src/luks/key-maker.js';
import { steadyKeyMaker } from '../../support/luks.js';

const maker = (perSecond: number) => ({ ...steadyKeyMaker(), roundsPerSecond: () => perSecond });

test.each([
  [1_000_000, 2000, 2_000_000, 250_000],
  [1_000_000, 10, 10_000, 1250],
  [1_000_000, 0, 1000, 1000],
  [1500.7, 1000, 1500, 1000],
])('%d rounds a second for %d ms', (perSecond, milliseconds, rounds, ofDigest) => {
  expect(roundsOf(maker(perSecond), 'sha256', 64, milliseconds)).toBe(rounds);
  expect(digestRoundsOf(maker(perSecond), 'sha256', 20, milliseconds)).toBe(ofDigest);
});

test('no more rounds than are read', () => {
  expect(roundsOf(maker(2 ** 26), 'sha256', 64, 1000)).toBe(2 ** 26);
  expect(() => roundsOf(maker(2 ** 26 + 1), 'sha256', 64, 1000)).toThrow(
    expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
  );
});
