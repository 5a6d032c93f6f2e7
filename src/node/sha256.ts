import type { Hasher } from '../base/hasher.js';
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
export function newSha256(): Hasher {
  const hash = crypto().createHash('sha256');
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
  };
}
