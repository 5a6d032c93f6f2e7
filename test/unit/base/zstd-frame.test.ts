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

// Spec: RFC 8878, Window_Descriptor: an exponent from 10 on, and eighths of the power.
test.each([
  [0x00, 2 ** 10],
  [0x50, 2 ** 20],
  [0x53, 2 ** 20 + 3 * 2 ** 17],
])('a frame whose content has no size names its window: 0x%s', (window, windowBytes) => {
  const block = [0x19, 0, 0, 7, 7, 7];
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, window, ...block);
  expect(zstdFrame(frame)).toEqual({ bytes: frame.length, contentBytes: undefined, windowBytes });
});
