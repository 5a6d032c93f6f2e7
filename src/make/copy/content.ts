import { newIoBytes } from '../../base/io-bytes.js';
import type { Hasher } from '../../base/hasher.js';
import { MiB } from '../../base/units.js';
import type { BlockSource } from '../../io/device.js';

/** Guest bytes, or so many zeros. */
export type Content =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'zeros'; readonly length: number };

/**
 * Is told all guest bytes in order. What it was given is its own until its promise resolves, and
 * not longer.
 */
export type ContentListener = (content: readonly Content[]) => Promise<void>;

const ZEROS = new Uint8Array(MiB);

/** Hashes the content of a disk as if it were a raw file. */
export function hashContent(hasher: Hasher): ContentListener {
  const add = (content: Content): void => {
    if (content.kind === 'bytes') {
      hasher.update(content.bytes);
      return;
    }
    for (let left = content.length; left > 0; left -= ZEROS.length) {
      hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
    }
  };
  return (contents) => {
    contents.forEach(add);
    return Promise.resolve();
  };
}

/** Bytes of a file that are hashed at a time. */
const HASH_BYTES = 4 * MiB;

/** Hashes a file as it is, from its first byte to its last. */
export async function hashSource(source: BlockSource, hasher: Hasher): Promise<string> {
  const sizeBytes = await source.sizeBytes();
  const memory = newIoBytes(Math.min(sizeBytes, HASH_BYTES));
  for (let at = 0; at < sizeBytes; at += memory.length) {
    const into = memory.subarray(0, Math.min(memory.length, sizeBytes - at));
    await source.readBatch([{ at, into }]);
    hasher.update(into);
  }
  return hasher.digest();
}
