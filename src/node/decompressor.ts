import type { InputType } from 'node:zlib';
import type { Decompressor } from '../read/guest/platform.js';
import { unpackFrameBy, unpackFrames } from '../read/guest/zstd-frames.js';
import { runInFlight } from '../io/batch.js';
import { zlib } from './late-modules.js';

/** Clusters that are unpacked at a time: Node's thread pool has four threads. */
const IN_FLIGHT = 8;
/**
 * Unpacks clusters: deflate by Node's own zlib, in several threads; zstd by Node's zlib where it
 * has that (from 22.15), else by a decoder in JavaScript.
 *
 * ```ts
 * await using image = await openQcow(memoryDevice(bytes), { decompressor: nodeDecompressor() });
 * ```
 */
export function nodeDecompressor(): Decompressor {
  return {
    decompress: async (type, packed, bytes) => {
      const unpack = type === 'zlib' ? inflate : unzstd;
      const unpacked: (Uint8Array | undefined)[] = packed.map(() => undefined);
      await runInFlight([...packed.keys()], IN_FLIGHT, async (i) => {
        unpacked[i] = await unpack(packed[i]!, bytes);
      });
      return unpacked;
    },
  };
}

/** More room than the cluster needs, so that zlib sees the end of the stream in one go. */
const SLACK_BYTES = 64;

function inflate(packed: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  const options = {
    chunkSize: bytes + SLACK_BYTES,
    maxOutputLength: bytes + SLACK_BYTES,
    // A stream that is cut off behind the cluster's last byte has all that is needed.
    finishFlush: zlib().constants.Z_SYNC_FLUSH,
  };
  return new Promise((resolve, reject) => {
    zlib().inflateRaw(packed, options, (error, unpacked) => {
      // What is wrong may lie behind the cluster.
      if (error !== null) beginningOf(packed, bytes).then(resolve, reject);
      else resolve(unpacked.length < bytes ? undefined : unpacked.subarray(0, bytes));
    });
  });
}

/**
 * The first cluster of a stream that is longer, or damaged behind it. QEMU gives zlib room for one cluster and so takes
 * such a stream, too. Undefined if the stream is damaged, or ends, inside the cluster.
 */
function beginningOf(packed: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const stream = zlib().createInflateRaw({ chunkSize: Math.max(bytes, 64) });
    const whole = new Uint8Array(bytes);
    let filled = 0;
    stream.on('data', (chunk: Uint8Array) => {
      const part = chunk.subarray(0, bytes - filled);
      whole.set(part, filled);
      filled += part.length;
      if (filled < bytes) return;
      resolve(whole);
      stream.destroy();
    });
    stream.on('error', () => {
      resolve(undefined);
    });
    stream.on('end', () => {
      resolve(undefined);
    });
    stream.end(packed);
  });
}

interface NodeZstd {
  zstdDecompress?: (
    packed: InputType,
    options: { readonly maxOutputLength: number },
    done: (error: Error | null, unpacked: Uint8Array) => void,
  ) => void;
}

function unzstd(packed: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  return unpackFrames(packed, bytes, unpackFrame);
}

/** Imported once: where clusters are small, to find it again takes longer than to unpack one. */
let fzstd: Promise<typeof import('fzstd')> | undefined;

async function unpackFrame(frame: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  const { zstdDecompress } = zlib() as NodeZstd;
  if (zstdDecompress === undefined) {
    const { Decompress } = await (fzstd ??= import('fzstd'));
    return unpackFrameBy(Decompress, frame, bytes);
  }
  return new Promise((resolve) => {
    zstdDecompress(frame, { maxOutputLength: bytes }, (error, unpacked) => {
      resolve(error === null ? unpacked : undefined);
    });
  });
}
