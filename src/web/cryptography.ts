import { ecb } from '@noble/ciphers/aes.js';
import type { Cryptography } from '../read/guest/platform.js';
import { sectorCipher } from '../read/guest/sector-cipher.js';
import { hashOf } from './hashes.js';
import { derivedKey } from './pbkdf2.js';

/**
 * Digests and AES in JavaScript, on every platform, by `@noble/hashes` and `@noble/ciphers`. Keys are
 * derived by WebCrypto where there is one and it knows the hash. All is done in the thread that asks:
 * where much is read, a worker keeps the page alive.
 *
 * ```ts
 * const source = blobSource(file, file.name);
 * await using image = await openQcow(source, { cryptography: webCryptography() });
 * await using disk = await image.disk({ passphrase: 'open sesame' });
 * ```
 */
export function webCryptography(): Cryptography {
  return {
    digest,
    pbkdf2: derivedKey,
    sectorCipher: (name, key, direction) => sectorCipher(name, key, { aes, digest }, direction),
  };
}

function digest(hash: string, bytes: Uint8Array): Uint8Array {
  return hashOf(hash)(bytes);
}

function aes(
  key: Uint8Array,
  direction: 'encrypt' | 'decrypt',
): (blocks: Uint8Array) => Uint8Array {
  // Each object encrypts once only.
  return (blocks) => ecb(key, { disablePadding: true })[direction](blocks);
}
