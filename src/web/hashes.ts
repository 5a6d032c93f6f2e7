import { md5, ripemd160, sha1 } from '@noble/hashes/legacy.js';
import { sha224, sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { unknownHash } from '../read/guest/unknown-hash.js';

/** All hashes that QEMU makes LUKS headers with. QEMU: qapi/crypto.json, QCryptoHashAlgorithm. */
const HASHES = { md5, sha1, sha224, sha256, sha384, sha512, ripemd160 };

/** One of them. */
type Hash = (typeof HASHES)[keyof typeof HASHES];

/**
 * A hash as LUKS names it.
 *
 * @throws QsnapError UNSUPPORTED_ENCRYPTION for any other name.
 */
export function hashOf(name: string): Hash {
  if (!Object.hasOwn(HASHES, name)) throw unknownHash(name);
  return HASHES[name as keyof typeof HASHES];
}
