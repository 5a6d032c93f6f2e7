import { zstdFrame } from '../../base/zstd-frame.js';
import { MiB } from '../../base/units.js';

/** What a decoder may need to look back; zstd's own limit for those who don't ask for more. */
const WINDOW_BYTES_MAX = 128 * MiB;

/** Unpacks one frame of at most `bytes` bytes; undefined where it is bad, or holds more. */
type UnpackFrame = (
  frame: Uint8Array,
  bytes: number,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/**
 * Unpacks frames until a cluster of `bytes` bytes is full, on every platform: what a frame claims is
 * looked at before anything is unpacked. Undefined for what is no such cluster.
 *
 * QEMU: the last frame must end where the cluster does.
 */
export async function unpackFrames(
  packed: Uint8Array,
  bytes: number,
  unpackFrame: UnpackFrame,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let filled = 0;
  for (let rest = packed; filled < bytes;) {
    const frame = zstdFrame(rest);
    if (frame === undefined || frame.windowBytes > WINDOW_BYTES_MAX) return undefined;
    if (frame.contentBytes !== undefined && frame.contentBytes > bytes - filled) return undefined;
    const part = await unpackFrame(rest.subarray(0, frame.bytes), bytes - filled);
    if (part === undefined) return undefined;
    if (frame.contentBytes !== undefined && frame.contentBytes !== part.length) return undefined;
    parts.push(part);
    filled += part.length;
    rest = rest.subarray(frame.bytes);
  }
  return parts.length === 1 ? parts[0] : joined(parts, bytes);
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A decoder that gives what it unpacks piece by piece, and throws where a frame is bad: fzstd's. */
type FrameDecoder = new (onChunk: (chunk: Uint8Array) => void) => {
  push(bytes: Uint8Array, isLast: boolean): void;
};

/** Thrown through the decoder to stop it. */
const TOO_LONG = new Error('the frame holds more than a cluster');

/** Unpacks one frame of at most `bytes` bytes in JavaScript; undefined where it is bad, or holds more. */
export function unpackFrameBy(
  Decoder: FrameDecoder,
  frame: Uint8Array,
  bytes: number,
): Uint8Array | undefined {
  const out = new Uint8Array(bytes);
  let filled = 0;
  const decoder = new Decoder((chunk) => {
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
