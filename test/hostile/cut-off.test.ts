/**
 * Files that are cut off anywhere: nothing that is missing is ever read as zeros without a word. A plain
 * read gives what the whole file gives, or an error; a salvage gives that, or zeros that it names.
 */
import { expect, test } from 'vitest';
import {
  isQsnapError,
  memoryDevice,
  openForReading,
  openGuestDisk,
  type GuestDiskOptions,
  type Loss,
} from '../../src/index.js';
import { nodeDecompressor } from '../../src/node.js';
import { loadFixture } from '../support/fixture.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';

const seed = seedOf();
const rounds = roundsOf(40);
const FIXTURES = [
  ...['five-snapshots', 'compressed-zlib', 'compressed-zstd', 'compressed-spanning'],
  ...['extended-l2', 'zeros', 'cluster-512', 'compressed-v2', 'extended-l2-zstd'],
];

async function contentOf(
  bytes: Uint8Array,
  snapshot: number | undefined,
  options: GuestDiskOptions = {},
): Promise<Uint8Array> {
  const image = await openForReading(memoryDevice(bytes));
  const chosen = snapshot === undefined ? undefined : image.snapshots[snapshot];
  if (snapshot !== undefined && chosen === undefined) return new Uint8Array(0);
  const decompressor = nodeDecompressor();
  const disk = await openGuestDisk(image, { decompressor, snapshot: chosen, ...options });
  const into = new Uint8Array(await disk.sizeBytes());
  await disk.readBatch([{ at: 0, into }]);
  return into;
}

test.each(FIXTURES)('%s', async (fixture) => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  const random = randomFrom(seed);
  const whole = loadFixture(fixture);
  const { snapshots } = await openForReading(memoryDevice(whole));
  const disks = [undefined, ...snapshots.slice(0, 2).map(({ index }) => index)];
  const expected = await Promise.all(disks.map((disk) => contentOf(whole, disk)));
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const cut = whole.slice(0, 4096 + random.below(whole.length - 4096));
    const which = random.below(disks.length);
    const content = expected[which]!;
    try {
      const read = await contentOf(cut, disks[which]);
      if (read.length > 0) expect(Buffer.compare(read, content)).toBe(0);
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      expect(error.kind).toBe('image');
      refused += 1;
    }
    const losses: Loss[] = [];
    const onLost = (loss: Loss): void => {
      losses.push(loss);
    };
    const salvaged = await contentOf(cut, disks[which], { onLost });
    if (salvaged.length === 0) continue;
    const rest = content.slice();
    for (const { start, length } of losses) rest.fill(0, start, start + length);
    expect(Buffer.compare(salvaged, rest)).toBe(0);
  }
  expect(refused).toBeGreaterThan(0);
});
