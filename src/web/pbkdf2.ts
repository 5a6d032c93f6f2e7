import { pbkdf2Async } from '@noble/hashes/pbkdf2.js';
import { hashOf } from './hashes.js';

/** The hashes of WebCrypto that LUKS knows, by its names. */
const OF_WEB_CRYPTO: Readonly<Record<string, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

/**
 * PBKDF2: by WebCrypto, which is several times as fast, where there is one and it knows the hash. Pages
 * that did not come by HTTPS or from this machine have none.
 *
 * @throws QsnapError UNSUPPORTED_ENCRYPTION for an unknown hash.
 */
export async function derivedKey(
  hash: string,
  passphrase: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  bytes: number,
): Promise<Uint8Array> {
  const implementation = hashOf(hash);
  const native = OF_WEB_CRYPTO[hash];
  const subtle = webCrypto();
  if (native === undefined || subtle === undefined) {
    return pbkdf2Async(implementation, passphrase, salt, { c: iterations, dkLen: bytes });
  }
  const key = await subtle.importKey('raw', passphrase, 'PBKDF2', false, ['deriveBits']);
  const parameters = { name: 'PBKDF2', hash: native, salt, iterations };
  return new Uint8Array(await subtle.deriveBits(parameters, key, bytes * 8));
}

/** Typed as what it is: there is none in some pages, whatever the types of Node say. */
function webCrypto(): typeof globalThis.crypto.subtle | undefined {
  const { crypto } = globalThis as { crypto?: { subtle?: typeof globalThis.crypto.subtle } };
  return crypto?.subtle;
}
