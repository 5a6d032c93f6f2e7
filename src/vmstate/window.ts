/** Bytes of a stream that are in memory, and where in the stream they begin. */
export interface Window {
  readonly bytes: Uint8Array;
  readonly base: number;
}

/** A number of 32 bits, the highest byte first. */
export function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

/** A 64-bit value, rounded where it is past 2^53: it is for comparing with limits. */
export function u64At(bytes: Uint8Array, at: number): number {
  return u32At(bytes, at) * 2 ** 32 + u32At(bytes, at + 4);
}
