/** Where a zstd frame ends, and what it claims: without unpacking anything. RFC 8878, section 3. */

export interface ZstdFrame {
  /** Length of the frame in bytes, its checksum included. */
  readonly bytes: number;
  /** What it says to unpack to; undefined where it doesn't say. */
  readonly contentBytes: number | undefined;
  /** Memory that a decoder needs to look back. */
  readonly windowBytes: number;
}

const MAGIC = 0xfd2fb528;
/** Neither sizes above this nor larger windows are ever needed for a cluster. */
const TOO_LARGE = 2 ** 32;

/** The frame at the start of `bytes`, or undefined where there is none, or only a part of one. */
export function zstdFrame(bytes: Uint8Array): ZstdFrame | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 6 || view.getUint32(0, true) !== MAGIC) return undefined;
  const descriptor = bytes[4]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeField = descriptor >>> 6;
  const sizeBytes = sizeField === 0 ? (isSingle ? 1 : 0) : 2 ** sizeField;
  const sizeAt = 5 + (isSingle ? 0 : 1) + dictionaryBytes;
  let at = sizeAt + sizeBytes;
  if (at > bytes.length) return undefined;
  const contentBytes = sizeBytes === 0 ? undefined : littleEndian(bytes, sizeAt, sizeBytes);
  for (;;) {
    if (at + 3 > bytes.length) return undefined;
    const header = littleEndian(bytes, at, 3);
    const type = (header >>> 1) & 3;
    if (type === 3) return undefined;
    at += 3 + (type === 1 ? 1 : header >>> 3);
    if ((header & 1) !== 0) break;
  }
  if ((descriptor & 4) !== 0) at += 4;
  if (at > bytes.length) return undefined;
  const windowBytes = isSingle ? contentBytes! : windowOf(bytes[5]!);
  return { bytes: at, contentBytes, windowBytes };
}

function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  // A size in two bytes counts from 256.
  return Math.min(length === 2 ? value + 256 : value, TOO_LARGE);
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}
