import { describe, expect, test } from 'vitest';
import { memoryDevice } from '../../../../src/io/memory.js';
import { guessGeometry } from '../../../../src/read/scan/guess-geometry.js';
import { loadFixture } from '../../../support/fixture.js';

/** What is told of an image without its first cluster. */
function guessed(fixture: string, headBytes: number) {
  const bytes = loadFixture(fixture).slice();
  bytes.fill(0, 0, headBytes);
  return guessGeometry(memoryDevice(bytes), bytes.length);
}

describe('the cluster size of an image without a header', () => {
  test.each([
    ['cluster-512', 9, 512],
    ['cluster-4k', 12, 4096],
    ['cluster-64k', 16, 65536],
  ] as const)('%s', async (fixture, clusterBits, headBytes) => {
    expect(await guessed(fixture, headBytes)).toMatchObject({ clusterBits, extendedL2: false });
  });

  test('nothing is told of text', async () => {
    const bytes = new TextEncoder().encode('nothing but text\n'.repeat(4000));
    expect(await guessGeometry(memoryDevice(bytes), bytes.length)).toBeUndefined();
  });
});
