import { describe, expect, test } from 'vitest';
import type { BlockSource } from '../../../../src/io/device.js';
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

  // A file of 8 GiB that was nothing but a bad header was read whole, sector by sector, for a minute.
  test('holes are not read', async () => {
    const image = loadFixture('cluster-4k').fill(0, 0, 4096);
    const [at, sizeBytes] = [2 ** 33, 2 ** 34];
    let readBytes = 0;
    const source: BlockSource = {
      label: 'sparse',
      sizeBytes: () => Promise.resolve(sizeBytes),
      close: () => Promise.resolve(),
      stretchesFrom: (from, to) => {
        const ends = [at, at + image.length, to];
        const starts = [from, ...ends.slice(0, -1)];
        const all = starts.map((start, i) => ({
          at: Math.max(start, from),
          length: Math.min(ends[i]!, to) - Math.max(start, from),
          isHole: i !== 1,
        }));
        return Promise.resolve(all.filter(({ length }) => length > 0));
      },
      readBatch: (requests) => {
        for (const { at: place, into } of requests) {
          readBytes += into.length;
          into.fill(0);
          if (place >= at) into.set(image.subarray(place - at, place - at + into.length));
        }
        return readBytes < 2 ** 26
          ? Promise.resolve()
          : Promise.reject(new Error(`${readBytes} bytes were read`));
      },
    };
    expect(await guessGeometry(source, sizeBytes)).toMatchObject({ clusterBits: 12 });
    expect(readBytes).toBeGreaterThanOrEqual(image.length);
    expect(readBytes).toBeLessThan(image.length + 512);
  });

  test('nothing is told of text', async () => {
    const bytes = new TextEncoder().encode('nothing but text\n'.repeat(4000));
    expect(await guessGeometry(memoryDevice(bytes), bytes.length)).toBeUndefined();
  });
});
