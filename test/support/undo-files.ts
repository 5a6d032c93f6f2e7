import { newSha256 } from '../../src/node/sha256.js';

/** Bytes of an undo file before the kept ones. */
export const UNDO_MAGIC = new TextEncoder().encode('qsnap undo file\n');

/** Bytes at its end: the SHA-256 of all before, in hex. */
export const UNDO_DIGEST_BYTES = 64;

/** An undo file as anybody can make one: any text as index, the trailer and the digest right. */
export function undoFileOf(index: string, kept: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(index);
  const trailer = new Uint8Array(16);
  const view = new DataView(trailer.buffer);
  view.setBigUint64(0, BigInt(UNDO_MAGIC.length + kept.length));
  view.setUint32(8, json.length);
  view.setUint32(12, 2);
  return withDigest(Buffer.concat([UNDO_MAGIC, kept, json, trailer]));
}

/** The same bytes with the digest that they need. */
export function withDigest(bytes: Uint8Array): Uint8Array {
  const hasher = newSha256();
  hasher.update(bytes);
  return Buffer.concat([bytes, Buffer.from(hasher.digest())]);
}

/** Bytes of a sound undo file that are kept, and its index. */
export function partsOfUndoFile(bytes: Uint8Array): { kept: Uint8Array; index: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const trailerAt = bytes.length - UNDO_DIGEST_BYTES - 16;
  const indexAt = Number(view.getBigUint64(trailerAt));
  const text = new TextDecoder().decode(bytes.subarray(indexAt, trailerAt));
  return { kept: bytes.slice(UNDO_MAGIC.length, indexAt), index: text };
}
