import { expect, test } from 'vitest';
import { holesAmong } from '../../../../src/edit/trim/holes-among.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import type { BlockSource, FileStretch } from '../../../../src/io/device.js';

/** A source that tells two stretches at a time. */
function telling(stretches: readonly FileStretch[]): BlockSource {
  return Object.assign(memoryDevice(new Uint8Array(4096)), {
    stretchesFrom: (from: number) => {
      const told = stretches.filter(({ at, length }) => at + length > from);
      return Promise.resolve(told.slice(0, 2));
    },
  });
}

test('a cluster is a hole where a hole has all of it', async () => {
  const source = telling([
    { at: 0, length: 1024, isHole: false },
    { at: 1024, length: 768, isHole: true },
    { at: 1792, length: 256, isHole: false },
    { at: 2048, length: 1024, isHole: true },
    { at: 3072, length: 1024, isHole: false },
  ]);
  const clusters = [0, 1, 2, 3, 4, 5, 7];
  expect(await holesAmong(source, clusters, 512)).toEqual(new Set([2, 4, 5]));
});

test('nothing is taken for a hole where nobody can tell', async () => {
  const source = Object.assign(memoryDevice(new Uint8Array(4096)), {
    stretchesFrom: () => Promise.resolve(undefined),
  });
  expect(await holesAmong(source, [1, 2], 512)).toEqual(new Set());
  expect(await holesAmong(telling([]), [], 512)).toEqual(new Set());
});
