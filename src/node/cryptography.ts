import type { Cryptography } from '../read/guest/platform.js';
import { sectorCipher } from '../read/guest/sector-cipher.js';
import { unknownHash } from '../read/guest/unknown-hash.js';
import { crypto } from './late-modules.js';

/**
 * Digests, key derivation and AES by node:crypto, that is by OpenSSL.
 *
 * ```ts
 * await using image = await openQcow(memoryDevice(bytes), { cryptography: nodeCryptography() });
 * await using disk = await image.disk({ passphrase: 'open sesame' });
 * ```
 */
export function nodeCryptography(): Cryptography {
  return {
    digest: (hash, bytes) => digest(hash, bytes),
    pbkdf2: async (hash, passphrase, salt, iterations, bytes) => {
      digest(hash, new Uint8Array(0));
      return new Promise((resolve, reject) => {
        crypto().pbkdf2(passphrase, salt, iterations, bytes, hash, (error, key) => {
          if (error === null) resolve(new Uint8Array(key));
          // Some hashes have a digest, and no key can be derived by them.
          else reject(unknownHash(hash, error));
        });
      });
    },
    sectorCipher: (name, key, direction) => sectorCipher(name, key, { aes, digest }, direction),
  };
}

function aes(
  key: Uint8Array,
  direction: 'encrypt' | 'decrypt',
): (blocks: Uint8Array) => Uint8Array {
  const { createCipheriv, createDecipheriv } = crypto();
  const create = direction === 'encrypt' ? createCipheriv : createDecipheriv;
  const algorithm = `aes-${key.length * 8}-ecb`;
  return (blocks) => {
    const cipher = create(algorithm, key, null);
    cipher.setAutoPadding(false);
    return cipher.update(blocks);
  };
}

function digest(hash: string, bytes: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(crypto().createHash(hash).update(bytes).digest());
  } catch (error) {
    throw unknownHash(hash, error);
  }
}
