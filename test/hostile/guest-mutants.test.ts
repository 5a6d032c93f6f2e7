/** Images with any bytes in their tables and data: a read ends soon, well or with one error. */
import { expect, test } from 'vitest';
import { isZero } from '../../src/base/bytes.js';
import { isQsnapError, memoryDevice, openGuestDisk, openImage } from '../../src/index.js';
import { nodeDecompressor } from '../../src/node/index.js';
import { loadFixture } from '../support/fixture.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';

const seed = seedOf();
const rounds = roundsOf(60);
const READ_DATA = 'read data';
const FIXTURES = [
  ...['compressed-zlib', 'compressed-zstd', 'compressed-spanning', 'extended-l2', 'zeros'],
  ...['cluster-512', 'extended-l2-zstd', 'vm-state', 'compressed-v2'],
];

test.each(FIXTURES)('%s', async (fixture) => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  const random = randomFrom(seed);
  const outcomes = new Map<string, number>();
  const count = (outcome: string): void => {
    outcomes.set(outcome, 1 + (outcomes.get(outcome) ?? 0));
  };
  for (let round = 0; round < rounds; round++) {
    const bytes = loadFixture(fixture);
    // Behind the header, so that there is something to read.
    for (let i = 1 + random.below(30); i > 0; i--) {
      bytes[512 + random.below(bytes.length - 512)] = random.below(256);
    }
    const tolerant = random.chance(0.5);
    try {
      const image = await openImage(memoryDevice(bytes));
      const snapshot = random.chance(0.3) ? image.snapshots[0] : undefined;
      const decompressor = nodeDecompressor();
      const disk = await openGuestDisk(image, { snapshot, decompressor, tolerant });
      const size = Math.min(await disk.sizeBytes(), 2 ** 24);
      for await (const extents of disk.extents(0, size)) expect(extents.length).toBeLessThan(1e6);
      const into = new Uint8Array(size);
      await disk.readBatch([{ at: 0, into }]);
      count(isZero(into) ? 'read zeros' : READ_DATA);
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      expect(['image', 'request']).toContain(error.kind);
      count(error.code);
    }
  }
  expect(outcomes.has('INTERNAL')).toBe(false);
  // What is refused before anything is read proves little; of packed clusters one bad one is enough.
  expect(outcomes.get(READ_DATA)).toBeGreaterThan(rounds / 6);
});
