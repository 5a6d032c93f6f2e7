import type { InputType } from 'node:zlib';
import { MiB } from '../base/units.js';
import type { Decompressor } from '../guest/ports.js';
import { runInFlight } from '../io/batch.js';
import { zstdFrame } from '../base/zstd-frame.js';
import { zlib } from './late-modules.js';

/** Clusters that are unpacked at a time: Node's thread pool has four threads. */
const IN_FLIGHT = 8;
/** What a decoder may need to look back; zstd's own limit for those who don't ask for more. */
const WINDOW_BYTES_MAX = 128 * MiB;

/** Unpacks one cluster; undefined where that is not possible. */
type Unpack = (packed: Uint8Array, bytes: number) => Promise<Uint8Array | undefined>;

/**
 * Unpacks clusters: deflate by Node's own zlib, in several threads; zstd by Node's zlib where it
 * has that (from 22.15), else by a decoder in JavaScript.
 */
export function nodeDecompressor(): Decompressor {
  return {
    decompress: async (type, packed, bytes) => {
      const unpack: Unpack = type === 'zlib' ? inflate : unzstd;
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
      if (error === null)
        resolve(unpacked.length < bytes ? undefined : unpacked.subarray(0, bytes));
      else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        beginningOf(packed, bytes).then(resolve, reject);
      } else resolve(undefined);
    });
  });
}

/** The first bytes of a stream that goes on for longer than a cluster. QEMU takes it. */
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

/** Frames until the cluster is full. QEMU: the last one must end where the cluster does. */
async function unzstd(packed: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let filled = 0;
  for (let rest = packed; filled < bytes;) {
    const frame = zstdFrame(rest);
    if (frame === undefined || frame.windowBytes > WINDOW_BYTES_MAX) return undefined;
    if (frame.contentBytes !== undefined && frame.contentBytes > bytes - filled) return undefined;
    const part = await unzstdFrame(rest.subarray(0, frame.bytes), bytes - filled);
    if (part === undefined) return undefined;
    if (frame.contentBytes !== undefined && frame.contentBytes !== part.length) return undefined;
    parts.push(part);
    filled += part.length;
    rest = rest.subarray(frame.bytes);
  }
  return parts.length === 1 ? parts[0] : new Uint8Array(Buffer.concat(parts));
}

interface NodeZstd {
  zstdDecompress?: (
    packed: InputType,
    options: { readonly maxOutputLength: number },
    done: (error: Error | null, unpacked: Uint8Array) => void,
  ) => void;
}

/** One frame, of at most `bytes` bytes. */
function unzstdFrame(frame: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  const { zstdDecompress } = zlib() as NodeZstd;
  if (zstdDecompress === undefined) return unzstdInJavaScript(frame, bytes);
  return new Promise((resolve) => {
    zstdDecompress(frame, { maxOutputLength: bytes }, (error, unpacked) => {
      resolve(error === null ? unpacked : undefined);
    });
  });
}

/** Thrown through the decoder to stop it. */
const TOO_LONG = new Error('the frame holds more than a cluster');

async function unzstdInJavaScript(
  frame: Uint8Array,
  bytes: number,
): Promise<Uint8Array | undefined> {
  const { Decompress } = await import('fzstd');
  const out = new Uint8Array(bytes);
  let filled = 0;
  const decoder = new Decompress((chunk) => {
    if (filled + chunk.length > bytes) throw TOO_LONG;
    out.set(chunk, filled);
    filled += chunk.length;
  });
  try {
    decoder.push(frame, true);
  } catch {
    // The decoder has many errors, RangeErrors among them; all say that the frame is bad.
    return undefined;
  }
  return out.subarray(0, filled);
}
