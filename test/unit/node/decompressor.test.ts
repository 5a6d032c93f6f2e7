import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { nodeCompressor, nodeDecompressor } from '../../../src/node.js';
import { zstdFrame } from '../../../src/base/zstd-frame.js';

const cluster = Uint8Array.from({ length: 65_536 }, (_, i) => (i >>> 5) & 255);
const followed = (packed: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(packed.length + 511).fill(0xaa);
  bytes.set(packed);
  return bytes;
};

describe.each(['zlib', 'zstd'] as const)('%s', (type) => {
  test('what is packed comes back, with other bytes behind it', async () => {
    const clusters = [cluster, new Uint8Array(65_536), cluster.toReversed()];
    const packed = await nodeCompressor().compress(type, clusters);
    expect(packed.every((one) => one !== undefined && one.length < 65_536)).toBe(true);
    const padded = packed.map((one) => followed(one!));
    const unpacked = await nodeDecompressor().decompress(type, padded, 65_536);
    for (const [i, one] of unpacked.entries()) {
      expect(Buffer.compare(one!, clusters[i]!)).toBe(0);
    }
  });

  test('what can not be made smaller is not packed', async () => {
    const noise = new Uint8Array(512);
    crypto.getRandomValues(noise);
    expect(await nodeCompressor().compress(type, [noise])).toEqual([undefined]);
  });

  test('noise, a stream cut off, and one that is too short are undefined', async () => {
    const [packed] = await nodeCompressor().compress(type, [cluster]);
    const [short] = await nodeCompressor().compress(type, [cluster.subarray(0, 4096)]);
    const bad = [new Uint8Array(100).fill(0xff), packed!.subarray(0, 20), short!, new Uint8Array()];
    const unpacked = await nodeDecompressor().decompress(type, bad, 65_536);
    expect(unpacked).toEqual(bad.map(() => undefined));
  });
});

test('a deflate stream that goes on is cut, and one that lacks its end is enough', async () => {
  const long = new Uint8Array(deflateRawSync(new Uint8Array(1_000_000).fill(5)));
  const [whole] = await nodeDecompressor().decompress('zlib', [long], 65_536);
  expect(whole).toHaveLength(65_536);
  expect(whole!.every((byte) => byte === 5)).toBe(true);
});

test('a zstd frame of more than a cluster is refused before it is unpacked', async () => {
  const [packed] = await nodeCompressor().compress('zstd', [new Uint8Array(131_072)]);
  expect(zstdFrame(packed!)).toMatchObject({ contentBytes: 131_072, bytes: packed!.length });
  expect(await nodeDecompressor().decompress('zstd', [packed!], 65_536)).toEqual([undefined]);
});
