import { createHash } from 'node:crypto';
import type { Hasher } from '../base/hasher.js';

/** A new SHA-256 by node:crypto. */
export function newSha256(): Hasher {
  const hash = createHash('sha256');
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
  };
}
