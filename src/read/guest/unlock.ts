import type { OpenImage } from '../../image/image.js';
import type { DiskCipher } from './layer.js';
import { cipherNameOf, openSlots, readLuks } from './luks-keys.js';
import type { CipherName, Cryptography } from './platform.js';

/** Key of the old AES encryption. */
const AES_KEY_BYTES = 16;

/**
 * Makes the cipher of an encrypted image from its passphrase.
 *
 * @throws QsnapError PASSPHRASE_WRONG, UNSUPPORTED_ENCRYPTION, EXTENSION_INVALID. With the old AES
 *   encryption nobody can tell a wrong passphrase: the data is then not what it was.
 */
export async function unlock(
  image: OpenImage,
  passphrase: Uint8Array,
  cryptography: Cryptography,
): Promise<DiskCipher> {
  if (image.header.encryption === 'aes') return aesCipher(passphrase, cryptography);
  const luks = await readLuks(image);
  const { key } = await openSlots(image.source, luks, passphrase, cryptography);
  return luksCipher(cipherNameOf(luks.header), key, cryptography);
}

/** The old AES encryption: the passphrase is the key, as far as that is long. */
export function aesCipher(passphrase: Uint8Array, cryptography: Cryptography): DiskCipher {
  const key = new Uint8Array(AES_KEY_BYTES);
  key.set(passphrase.subarray(0, AES_KEY_BYTES));
  const name = { cipher: 'aes', mode: 'cbc', ivGenerator: 'plain64', ivHash: undefined };
  return { ...ciphersOf(name, key, cryptography), numberedBy: 'guest' };
}

/** @throws QsnapError UNSUPPORTED_ENCRYPTION. */
export function luksCipher(
  name: CipherName,
  masterKey: Uint8Array,
  cryptography: Cryptography,
): DiskCipher {
  return { ...ciphersOf(name, masterKey, cryptography), numberedBy: 'host' };
}

function ciphersOf(
  name: CipherName,
  key: Uint8Array,
  cryptography: Cryptography,
): Pick<DiskCipher, 'decrypt' | 'encrypt'> {
  return {
    decrypt: cryptography.sectorCipher(name, key),
    encrypt: cryptography.sectorCipher(name, key, 'encrypt'),
  };
}
