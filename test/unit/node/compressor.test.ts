import { describe, expect, test } from 'vitest';
import { nodeCompressor } from '../../../src/node/index.js';

describe.each(['zlib', 'zstd'] as const)('%s', (type) => {
  test('what can not be made smaller is not packed', async () => {
    const noise = new Uint8Array(512);
    crypto.getRandomValues(noise);
    expect(await nodeCompressor().compress(type, [noise])).toEqual([undefined]);
  });

  test('what can be made smaller is', async () => {
    const packed = await nodeCompressor().compress(type, [new Uint8Array(65_536)]);
    expect(packed[0]!.length).toBeLessThan(100);
  });
});
