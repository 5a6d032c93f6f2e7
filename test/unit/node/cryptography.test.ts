import { getHashes } from 'node:crypto';
import { expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { nodeCryptography } from '../../../src/node/cryptography.js';

const SALT = new Uint8Array(32);
const PASSPHRASE = Uint8Array.of(1);

test('a key is derived by every hash that a LUKS header may name, or the hash is refused by name', async () => {
  const cryptography = nodeCryptography();
  const names = [...getHashes(), 'shake128', 'constructor', '', 'sha256\u0000', 'null'];
  const derived: string[] = [];
  for (const name of names) {
    try {
      expect((await cryptography.pbkdf2(name, PASSPHRASE, SALT, 1, 20)).length).toBe(20);
      expect(cryptography.digest(name, SALT).length).toBeGreaterThan(0);
      derived.push(name);
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      expect(error.code, name).toBe('UNSUPPORTED_ENCRYPTION');
      expect(error.details.actual).toBe(name);
    }
  }
  expect(derived).toContain('sha256');
  // It has a digest, and no key comes of it: OpenSSL's error was not told as one of qsnap.
  expect(derived).not.toContain('shake128');
});
