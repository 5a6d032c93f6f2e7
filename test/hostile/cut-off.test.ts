/**
 * Files that are cut off anywhere: nothing that is missing is ever read as zeros without a word. A plain
 * read gives what the whole file gives, or an error; a salvage gives that, or zeros that it names.
 */
import { expect, test } from 'vitest';
import {
  checkImage,
  executePlan,
  isQsnapError,
  memoryDevice,
  openForReading,
  openGuestDisk,
  openImage,
  planCreate,
  type CompressionType,
  type GuestDiskOptions,
  type Loss,
} from '../../src/index.js';
import { nodeCompressor, nodeDecompressor } from '../../src/node/index.js';
import { isZero } from '../../src/base/bytes.js';
import { loadFixture } from '../support/fixture.js';
import { buildImage, guestWrite } from '../support/image-builder.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';

const seed = seedOf();
const rounds = roundsOf(40);
const NEW = { name: 'after', date: { seconds: 1_700_000_000, nanoseconds: 0 } };
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
  let kept = 0;
  for (let round = 0; round < rounds; round++) {
    // The first one lacks a byte.
    const length = round === 0 ? whole.length - 1 : 4096 + random.below(whole.length - 4096);
    const cut = whole.slice(0, length);
    const which = round === 0 ? 0 : random.below(disks.length);
    const content = expected[which]!;
    try {
      const found = await contentOf(cut, disks[which]);
      if (found.length > 0) expect(Buffer.compare(found, content)).toBe(0);
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
    kept += Number(!isZero(rest));
  }
  expect(refused).toBeGreaterThan(0);
  // Nothing that was read right would be proof of nothing.
  expect(kept).toBeGreaterThan(0);
});

/** An image with one cluster, the last of the file, that is packed. */
async function withPackedEnd(
  compressionType: CompressionType,
): Promise<{ whole: Uint8Array; end: number }> {
  const options = { version: 3, clusterBits: 16, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 20 }) };
  guestWrite(disk, 0, 1);
  const cluster = Uint8Array.from({ length: 65_536 }, (_, i) => (i * i) >>> (i % 7));
  const [packed] = await nodeCompressor().compress(compressionType, [cluster]);
  const whole = disk.bytes.slice();
  const view = new DataView(whole.buffer);
  const at = whole.length - 65_536;
  const entryAt = Array.from({ length: at / 8 }, (_, i) => i * 8).find((i) => {
    return view.getBigUint64(i) === (1n << 63n) + BigInt(at);
  });
  const sectors = Math.ceil(packed!.length / 512) - 1;
  view.setBigUint64(entryAt!, (1n << 62n) + (BigInt(sectors) << 54n) + BigInt(at));
  if (compressionType === 'zstd') {
    // The incompatible feature, the header's length, and the type.
    whole[79]! |= 8;
    whole[103] = 112;
    whole[104] = 1;
  }
  whole.fill(0, at);
  whole.set(packed!, at);
  return { whole, end: at + packed!.length };
}

test.each(['zlib', 'zstd'] as const)(
  'a compressed cluster that lacks bytes of its last sector (%s)',
  { timeout: 60_000 },
  async (compressionType) => {
    const { whole, end } = await withPackedEnd(compressionType);
    const outcomes = new Set<string>();
    // A few bytes more than there need to be, then ever less, down to the sector's start.
    const sectorStart = end - 1 - ((end - 1) % 512);
    for (let length = end + 3; length > sectorStart; length -= length > end - 16 ? 1 : 7) {
      const cut = whole.slice(0, length);
      const isRead = await contentOf(cut, undefined).then(
        () => true,
        () => false,
      );
      const { exitCode, findings } = await checkImage(memoryDevice(cut));
      const edited = memoryDevice(cut);
      const isEdited = await planCreate(await openImage(edited), NEW).then(
        (plan) => executePlan(plan).then(() => true),
        () => false,
      );
      const codes = findings.map(({ code }) => code).join();
      outcomes.add(`${isRead} ${isEdited} ${exitCode} ${codes}`);
      if (isEdited) expect((await checkImage(edited)).exitCode).toBe(0);
    }
    expect([...outcomes]).toEqual(['true true 0 ', 'false false 2 FILE_CUT_OFF']);
  },
);
