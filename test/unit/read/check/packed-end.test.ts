import { expect, test } from 'vitest';
import { holdsCluster } from '../../../../src/read/check/packed-end.js';
import { nodeCompressor, nodeDecompressor } from '../../../../src/node/index.js';

const CLUSTER_BYTES = 4096;
const noisy = Uint8Array.from({ length: CLUSTER_BYTES }, (_, i) => (i * i) >>> (i % 7));

test.each(['zlib', 'zstd'] as const)(
  '%s: a cluster is whole where it can be unpacked',
  async (type) => {
    const clusters = [noisy, new Uint8Array(CLUSTER_BYTES), noisy.subarray(0, 2048)];
    const seen = new Set<boolean>();
    for (const packed of await nodeCompressor().compress(type, clusters)) {
      for (let length = 0; length <= packed!.length + 3; length++) {
        const stream = new Uint8Array(packed!.length + 3).fill(0xaa);
        stream.set(packed!);
        const part = stream.slice(0, length);
        const [unpacked] = await nodeDecompressor().decompress(type, [part], CLUSTER_BYTES);
        const isWhole = holdsCluster(type, part, CLUSTER_BYTES);
        expect(isWhole, `${length} of ${packed!.length} bytes`).toBe(unpacked !== undefined);
        seen.add(isWhole);
      }
    }
    expect(seen).toEqual(new Set([false, true]));
  },
);
