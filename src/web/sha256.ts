import { sha256 } from '@noble/hashes/sha2.js';
import { hexOfBytes } from '../base/text.js';
import type { Hasher } from '../base/hasher.js';

/**
 * A new SHA-256 in JavaScript, on every platform, by `@noble/hashes`.
 *
 * ```ts
 * const hasher = newSha256();
 * hasher.update(bytes);
 * console.log(hasher.digest()); // lower-case hex
 * ```
 */
export function newSha256(): Hasher {
  const hash = sha256.create();
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hexOfBytes(hash.digest()),
  };
}
