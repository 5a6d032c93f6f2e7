import { expect, test } from 'vitest';
import { zstdFrame } from '../../../src/base/zstd-frame.js';
import { nodeCompressor } from '../../../src/node/index.js';

const cluster = Uint8Array.from({ length: 65_536 }, (_, i) => (i >>> 5) & 255);

test('a frame ends where it says, whatever follows', async () => {
  const [packed] = await nodeCompressor().compress('zstd', [cluster]);
  const followed = new Uint8Array(packed!.length + 511).fill(0xaa);
  followed.set(packed!);
  expect(zstdFrame(followed)).toMatchObject({ bytes: packed!.length });
});

test('no part of a frame is a frame', async () => {
  const [packed] = await nodeCompressor().compress('zstd', [cluster]);
  for (let length = 0; length < packed!.length; length++) {
    expect(zstdFrame(packed!.subarray(0, length))).toBeUndefined();
  }
});
