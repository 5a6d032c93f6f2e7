import type { Hash } from 'node:crypto';
import type { ForkableHasher } from '../base/hasher.js';
import { crypto } from './late-modules.js';

/**
 * A new SHA-256 by node:crypto.
 *
 * ```ts
 * const hasher = newSha256();
 * for await (const chunk of disk.stream()) hasher.update(chunk);
 * console.log(hasher.digest()); // lower-case hex
 * ```
 */
export function newSha256(): ForkableHasher {
  return newHash('sha256');
}

/** Hashes that examiners use; MD5 and SHA-1 protect against nobody, and old records have them. */
export type HashAlgorithm = 'md5' | 'sha1' | 'sha256' | 'sha512';

/**
 * A new hash by node:crypto, whose state can be copied.
 *
 * ```ts
 * const hasher = newHash('sha1');
 * ```
 */
export function newHash(algorithm: HashAlgorithm): ForkableHasher {
  return hasherOf(crypto().createHash(algorithm));
}

function hasherOf(hash: Hash): ForkableHasher {
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
    fork: () => hasherOf(hash.copy()),
  };
}
