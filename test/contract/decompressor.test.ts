/** Whatever unpacks clusters: by Node, and in JavaScript everywhere else. */
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { zstdFrame } from '../../src/base/zstd-frame.js';
import { nodeCompressor, nodeDecompressor } from '../../src/node/index.js';
import { webDecompressor } from '../../src/web/index.js';

const CLUSTER_BYTES = 65_536;
const cluster = Uint8Array.from({ length: CLUSTER_BYTES }, (_, i) => (i >>> 5) & 255);
const packers = nodeCompressor();

const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts));
const textOf = (clusters: readonly (Uint8Array | undefined)[]): readonly (string | undefined)[] =>
  clusters.map((bytes) => bytes && Buffer.from(bytes).toString('base64'));
const followed = (packed: Uint8Array): Uint8Array => joined(packed, new Uint8Array(511).fill(0xaa));
const deflated = (bytes: Uint8Array, options = {}): Uint8Array =>
  new Uint8Array(deflateRawSync(bytes, { windowBits: 12, ...options }));

async function packedBy(type: 'zlib' | 'zstd', bytes: Uint8Array): Promise<Uint8Array> {
  const [packed] = await packers.compress(type, [bytes]);
  return packed!;
}

describe.each([
  ['node', nodeDecompressor()],
  ['web', webDecompressor()],
])('%s', (_, decompressor) => {
  describe.each(['zlib', 'zstd'] as const)('%s', (type) => {
    test('what is packed comes back, with other bytes behind it', async () => {
      const clusters = [cluster, new Uint8Array(CLUSTER_BYTES), cluster.toReversed()];
      const packed = await packers.compress(type, clusters);
      expect(packed.every((one) => one !== undefined && one.length < CLUSTER_BYTES)).toBe(true);
      const padded = packed.map((one) => followed(one!));
      const unpacked = await decompressor.decompress(type, padded, CLUSTER_BYTES);
      for (const [i, one] of unpacked.entries()) {
        expect(Buffer.compare(one!, clusters[i]!)).toBe(0);
      }
    });

    test('the packed bytes stay as they are', async () => {
      const packed = await packedBy(type, cluster);
      const before = packed.slice();
      await decompressor.decompress(type, [packed], CLUSTER_BYTES);
      expect(packed).toEqual(before);
    });

    test.each([512, 4096, 2 ** 21])('clusters of %i bytes', async (bytes) => {
      const plain = Uint8Array.from({ length: bytes }, (__, i) => (i >>> 6) & 255);
      const packed = followed(await packedBy(type, plain));
      const [unpacked] = await decompressor.decompress(type, [packed], bytes);
      expect(Buffer.compare(unpacked!, plain)).toBe(0);
    });

    test('noise, a stream cut off, and one that is too short are undefined', async () => {
      const packed = await packedBy(type, cluster);
      const short = await packedBy(type, cluster.subarray(0, 4096));
      const bad = [new Uint8Array(100).fill(0xff), packed.subarray(0, 20), short, new Uint8Array()];
      const unpacked = await decompressor.decompress(type, bad, CLUSTER_BYTES);
      expect(unpacked).toEqual(bad.map(() => undefined));
    });
  });

  test('a deflate stream that goes on is cut, and one that lacks its end is enough', async () => {
    const long = deflated(new Uint8Array(1_000_000).fill(5));
    const [whole] = await decompressor.decompress('zlib', [long], CLUSTER_BYTES);
    expect(whole).toHaveLength(CLUSTER_BYTES);
    expect(whole!.every((byte) => byte === 5)).toBe(true);
    // A full flush ends in an empty block, which may be missing.
    const open = deflated(cluster, { finishFlush: constants.Z_FULL_FLUSH });
    const [enough] = await decompressor.decompress('zlib', [open.subarray(0, -4)], CLUSTER_BYTES);
    expect(Buffer.compare(enough!, cluster)).toBe(0);
  });

  // zlib, with room for one cluster as in QEMU, never comes to the bad block.
  test('a deflate stream that is bad soon after the cluster is enough', async () => {
    const plain = new Uint8Array(100).fill(5);
    const open = deflated(plain, { finishFlush: constants.Z_FULL_FLUSH, level: 0 });
    const bad = joined(open, Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    const [first] = await decompressor.decompress('zlib', [bad], 90);
    expect(textOf([first])).toEqual(textOf([plain.subarray(0, 90)]));
    expect(await decompressor.decompress('zlib', [bad], 101)).toEqual([undefined]);
  });

  test('a deflate stream looks back over the whole window that its format allows', async () => {
    const noise = Uint8Array.from(
      { length: 30_000 },
      (__, i) => Math.imul(i, 2_654_435_761) >>> 24,
    );
    const plain = joined(noise, noise);
    const packed = deflated(plain, { windowBits: 15 });
    const [unpacked] = await decompressor.decompress('zlib', [packed], plain.length);
    expect(Buffer.compare(unpacked!, plain)).toBe(0);
  });

  test('a zstd frame of more than a cluster is refused before it is unpacked', async () => {
    const packed = await packedBy('zstd', new Uint8Array(131_072));
    expect(zstdFrame(packed)).toMatchObject({ contentBytes: 131_072, bytes: packed.length });
    expect(await decompressor.decompress('zstd', [packed], CLUSTER_BYTES)).toEqual([undefined]);
  });

  test('a cluster in several zstd frames, of which the last must end where it does', async () => {
    const halves = [cluster.subarray(0, 40_000), cluster.subarray(40_000)];
    const [one, two] = await packers.compress('zstd', halves);
    const [whole] = await decompressor.decompress('zstd', [joined(one!, two!)], CLUSTER_BYTES);
    expect(Buffer.compare(whole!, cluster)).toBe(0);
    const bad = [joined(one!, one!), joined(one!, two!.subarray(0, -1))];
    expect(await decompressor.decompress('zstd', bad, CLUSTER_BYTES)).toEqual([
      undefined,
      undefined,
    ]);
  });
});

/** A stream as it may be found: whole, longer or shorter than the cluster, cut, followed, or with a wrong bit. */
const damage = fc.record({
  cut: fc.option(fc.nat(600), { freq: 3 }),
  tail: fc.uint8Array({ maxLength: 80 }),
  bit: fc.option(fc.nat(5000), { freq: 2 }),
});

function damaged(
  packed: Uint8Array,
  { cut, tail, bit }: { cut: number | null; tail: Uint8Array; bit: number | null },
): Uint8Array {
  const bytes = joined(packed.subarray(0, cut ?? packed.length), tail);
  if (bit !== null && bytes.length > 0) bytes[(bit >>> 3) % bytes.length]! ^= 1 << (bit & 7);
  return bytes;
}

const content = fc
  .tuple(fc.constantFrom(512, 512, 400, 513, 580, 1024, 3000), fc.integer(), fc.nat(255))
  .map(([length, seed, often]) =>
    Uint8Array.from({ length }, (_, i) => {
      const noise = Math.imul(i + seed, 2_654_435_761) >>> 16;
      return (noise & 255) < often ? 7 : noise >>> 8;
    }),
  );

test('web takes and refuses what node does: deflate', async () => {
  const level = fc.constantFrom(0, 1, 6, 9);
  const strategy = fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_FIXED,
  );
  await fc.assert(
    fc.asyncProperty(content, level, strategy, damage, async (plain, l, s, how) => {
      const packed = [damaged(deflated(plain, { level: l, strategy: s }), how)];
      const wanted = await nodeDecompressor().decompress('zlib', packed, 512);
      const got = await webDecompressor().decompress('zlib', packed, 512);
      expect(textOf(got)).toEqual(textOf(wanted));
    }),
    { numRuns: 3000 },
  );
});

// Cut or followed, without wrong bits: fzstd does not see all that newer Nodes see.
test('web takes and refuses what node does: zstd', async () => {
  const none = new Uint8Array(0);
  await fc.assert(
    fc.asyncProperty(content, damage, async (plain, { cut, tail }) => {
      const whole = await packers.compress('zstd', [joined(plain, plain)]);
      const packed = [
        damaged(whole[0] ?? plain, { cut, tail: cut === null ? tail : none, bit: null }),
      ];
      const wanted = await nodeDecompressor().decompress('zstd', packed, plain.length * 2);
      const got = await webDecompressor().decompress('zstd', packed, plain.length * 2);
      expect(textOf(got)).toEqual(textOf(wanted));
    }),
    { numRuns: 500 },
  );
});
