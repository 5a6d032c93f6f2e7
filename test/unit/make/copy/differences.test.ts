import { expect, test } from 'vitest';
import { Differences } from '../../../../src/make/copy/differences.js';

test('ranges that touch across stretches are one', () => {
  const differences = new Differences(10);
  const [zeros, ones] = [new Uint8Array(1024), new Uint8Array(1024).fill(1)];
  differences.compare(zeros, ones, 1024);
  differences.compare(zeros, ones, 2048);
  differences.compare(zeros, zeros, 3072);
  differences.compare(zeros, ones, 4096);
  expect(differences.ranges).toEqual([
    { start: 1024, length: 2048 },
    { start: 4096, length: 1024 },
  ]);
  expect(differences).toMatchObject({ firstAt: 1024, rangeCount: 2, bytes: 3072 });
});

test('a range that is not kept does not make a kept one longer', () => {
  const differences = new Differences(1);
  const [zeros, ones] = [new Uint8Array(512), new Uint8Array(512).fill(1)];
  for (const at of [0, 1024, 1536]) differences.compare(zeros, ones, at);
  expect(differences.ranges).toEqual([{ start: 0, length: 512 }]);
  expect(differences).toMatchObject({ rangeCount: 2, bytes: 1536 });
});
