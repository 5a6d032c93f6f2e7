import { Decompress } from 'fzstd';
import type { Decompressor } from '../read/guest/platform.js';
import { settled } from '../io/settled.js';
import { unpackFrameBy, unpackFrames } from '../read/guest/zstd-frames.js';
import { inflate } from './inflate.js';

/**
 * Unpacks clusters in JavaScript, on every platform: deflate by pako, zstd by fzstd. All is done in the
 * thread that asks: where much is read, a worker keeps the page alive.
 *
 * ```ts
 * const source = blobSource(file, file.name);
 * await using image = await openQcow(source, { decompressor: webDecompressor() });
 * ```
 */
export function webDecompressor(): Decompressor {
  return {
    decompress: async (type, packed, bytes) =>
      type === 'zlib'
        ? packed.map((one) => inflate(one, bytes))
        : settled(packed.map((one) => unpackFrames(one, bytes, unpackFrame))),
  };
}

function unpackFrame(frame: Uint8Array, bytes: number): Uint8Array | undefined {
  return unpackFrameBy(Decompress, frame, bytes);
}
