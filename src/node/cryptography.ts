import { printableText } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { Cryptography } from '../guest/ports.js';
import { sectorCipher } from './sector-cipher.js';
import { crypto } from './late-modules.js';

/** Digests, key derivation and AES by node:crypto, that is by OpenSSL. */
export function nodeCryptography(): Cryptography {
  return {
    digest: (hash, bytes) => digest(hash, bytes),
    pbkdf2: (hash, passphrase, salt, iterations, bytes) => {
      digest(hash, new Uint8Array(0));
      return new Promise((resolve, reject) => {
        crypto().pbkdf2(passphrase, salt, iterations, bytes, hash, (error, key) => {
          if (error === null) resolve(new Uint8Array(key));
          // Some hashes have a digest, and no key can be derived by them.
          else reject(unknownHash(hash, error));
        });
      });
    },
    sectorCipher: (name, key) => sectorCipher(name, key, digest),
  };
}

function digest(hash: string, bytes: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(crypto().createHash(hash).update(bytes).digest());
  } catch (error) {
    throw unknownHash(hash, error);
  }
}

function unknownHash(hash: string, cause: unknown): QsnapError {
  return new QsnapError(
    'UNSUPPORTED_ENCRYPTION',
    `the hash "${printableText(hash)}" is not known here`,
    { structure: 'encryption header', actual: hash },
    cause,
  );
}
