import { createCipheriv, createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sectorCipher } from '../../../src/node/sector-cipher.js';

const digest = (hash: string, bytes: Uint8Array): Uint8Array =>
  createHash(hash).update(bytes).digest();
const filled = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >>> 8) * 13) & 255);

function littleEndian(sector: number): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeBigUInt64LE(BigInt(sector));
  return iv;
}

/** Sector by sector by OpenSSL's own modes. */
function encrypted(algorithm: string, key: Uint8Array, plain: Uint8Array, first: number): Buffer {
  const sectors = [];
  for (let at = 0; at < plain.length; at += 512) {
    const cipher = createCipheriv(algorithm, key, littleEndian(first + at / 512));
    cipher.setAutoPadding(false);
    sectors.push(cipher.update(plain.subarray(at, at + 512)));
  }
  return Buffer.concat(sectors);
}

test.each([
  ['xts', 32, 'aes-128-xts'],
  ['xts', 64, 'aes-256-xts'],
  ['cbc', 16, 'aes-128-cbc'],
  ['cbc', 24, 'aes-192-cbc'],
  ['cbc', 32, 'aes-256-cbc'],
])('%s with %i bytes of key is what OpenSSL calls %s', (mode, keyBytes, algorithm) => {
  const key = filled(keyBytes).map((byte) => byte ^ 0x55);
  const plain = filled(2048);
  for (const first of [0, 1, 2 ** 32 - 2]) {
    // At an odd place in memory, too.
    const bytes = new Uint8Array(2049).subarray(1);
    bytes.set(encrypted(algorithm, key, plain, first));
    const name = { cipher: 'aes', mode, ivGenerator: 'plain64', ivHash: undefined };
    sectorCipher(name, key, digest)(bytes, first);
    expect(Buffer.compare(bytes, plain), `from sector ${first}`).toBe(0);
  }
});

test('initial vectors of 32 bits begin anew at 2^32', () => {
  const key = filled(32);
  const name = { cipher: 'aes', mode: 'cbc', ivGenerator: 'plain', ivHash: undefined };
  const bytes = new Uint8Array(encrypted('aes-256-cbc', key, filled(512), 5));
  sectorCipher(name, key, digest)(bytes, 2 ** 32 + 5);
  expect(bytes).toEqual(filled(512));
});

test.each([
  ['serpent', 'xts', 'plain64', undefined, 64],
  ['aes', 'ctr', 'plain64', undefined, 32],
  ['aes', 'cbc', 'benbi', undefined, 32],
  ['aes', 'cbc', 'essiv', 'sha1', 32],
  ['aes', 'xts', 'plain64', undefined, 30],
] as const)('%s-%s-%s:%s with %i bytes of key is refused by name', (cipher, mode, iv, hash, n) => {
  const name = { cipher, mode, ivGenerator: iv, ivHash: hash };
  expect(() => sectorCipher(name, new Uint8Array(n), digest)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_ENCRYPTION' }),
  );
});
