/** Whatever decrypts disks: by Node, and in JavaScript everywhere else, with WebCrypto and without. */
import { createCipheriv, createHash, pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { nodeCryptography, newSha256 as nodeSha256 } from '../../src/node/index.js';
import { webCryptography, newSha256 as webSha256 } from '../../src/web/index.js';

const filled = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >>> 8) * 13) & 255);

function littleEndian(sector: number): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeBigUInt64LE(BigInt(sector));
  return iv;
}

/** Sector by sector by OpenSSL's own modes. */
function encrypted(
  algorithm: string,
  key: Uint8Array,
  plain: Uint8Array,
  first: number,
  vector: (sector: number) => Uint8Array = littleEndian,
): Uint8Array {
  const sectors = [];
  for (let at = 0; at < plain.length; at += 512) {
    const cipher = createCipheriv(algorithm, key, vector(first + at / 512));
    cipher.setAutoPadding(false);
    sectors.push(cipher.update(plain.subarray(at, at + 512)));
  }
  return new Uint8Array(Buffer.concat(sectors));
}

/** The initial vector of ESSIV: the sector's number, encrypted by the hash of the key. */
function essiv(hash: string, key: Uint8Array): (sector: number) => Uint8Array {
  const vectorKey = createHash(hash).update(key).digest();
  return (sector) => {
    const cipher = createCipheriv(`aes-${vectorKey.length * 8}-ecb`, vectorKey, null);
    return cipher.update(littleEndian(sector));
  };
}

/** All hashes that QEMU makes LUKS headers with. */
const HASHES = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160'];

describe.each([
  ['node', nodeCryptography(), true],
  ['web', webCryptography(), true],
  ['web without WebCrypto', webCryptography(), false],
])('%s', (_, cryptography, hasWebCrypto) => {
  beforeEach(() => {
    if (!hasWebCrypto) vi.stubGlobal('crypto', undefined);
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

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
      cryptography.sectorCipher(name, key)(bytes, first);
      expect(Buffer.compare(bytes, plain), `from sector ${first}`).toBe(0);
      cryptography.sectorCipher(name, key, 'encrypt')(bytes, first);
      const again = encrypted(algorithm, key, plain, first);
      expect(Buffer.compare(bytes, again), `from sector ${first}, encrypted`).toBe(0);
    }
  });

  test('one cipher serves any number of reads, and none of nothing', () => {
    const key = filled(32);
    const name = { cipher: 'aes', mode: 'cbc', ivGenerator: 'plain64', ivHash: undefined };
    const decrypt = cryptography.sectorCipher(name, key);
    for (const sectors of [1, 3, 0, 1]) {
      const bytes = encrypted('aes-256-cbc', key, filled(sectors * 512), 9);
      decrypt(bytes, 9);
      expect(bytes).toEqual(filled(sectors * 512));
    }
  });

  test('initial vectors of 32 bits begin anew at 2^32', () => {
    const key = filled(32);
    const name = { cipher: 'aes', mode: 'cbc', ivGenerator: 'plain', ivHash: undefined };
    const bytes = encrypted('aes-256-cbc', key, filled(512), 5);
    cryptography.sectorCipher(name, key)(bytes, 2 ** 32 + 5);
    expect(bytes).toEqual(filled(512));
  });

  test.each([
    ['cbc', 'md5', 'aes-128-cbc', 16],
    ['cbc', 'sha256', 'aes-256-cbc', 32],
    ['xts', 'sha256', 'aes-256-xts', 64],
  ])('%s with initial vectors by essiv:%s', (mode, ivHash, algorithm, keyBytes) => {
    const key = filled(keyBytes).map((byte) => byte ^ 0x33);
    const name = { cipher: 'aes', mode, ivGenerator: 'essiv', ivHash };
    const bytes = encrypted(algorithm, key, filled(1536), 77, essiv(ivHash, key));
    cryptography.sectorCipher(name, key)(bytes, 77);
    expect(bytes).toEqual(filled(1536));
  });

  test.each([
    ['serpent', 'xts', 'plain64', undefined, 64],
    ['aes', 'ctr', 'plain64', undefined, 32],
    ['aes', 'cbc', 'benbi', undefined, 32],
    ['aes', 'cbc', 'essiv', 'sha1', 32],
    ['aes', 'cbc', 'essiv', 'md6', 32],
    ['aes', 'cbc', 'essiv', undefined, 32],
    ['aes', 'xts', 'plain64', undefined, 30],
  ] as const)('%s-%s-%s:%s with %i bytes of key is refused', (cipher, mode, iv, hash, n) => {
    const name = { cipher, mode, ivGenerator: iv, ivHash: hash };
    expect(() => cryptography.sectorCipher(name, new Uint8Array(n))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_ENCRYPTION' }),
    );
  });

  test.each(HASHES)('%s, and keys derived by it', async (hash) => {
    for (const length of [0, 1, 64, 1000]) {
      const wanted = createHash(hash).update(filled(length)).digest();
      expect(Buffer.compare(cryptography.digest(hash, filled(length)), wanted)).toBe(0);
    }
    for (const [passphrase, bytes, iterations] of [
      ['open sesame', 64, 1000],
      ['', 20, 1],
      ['a passphrase that is longer than a block of any of these hashes'.repeat(3), 33, 7],
    ] as const) {
      const [secret, salt] = [new TextEncoder().encode(passphrase), filled(32)];
      const key = await cryptography.pbkdf2(hash, secret, salt, iterations, bytes);
      const wanted = pbkdf2Sync(secret, salt, iterations, bytes, hash);
      expect(Buffer.compare(key, wanted), passphrase).toBe(0);
    }
  });

  test.each(['whirlpool', 'toString', ''])('the hash "%s" is refused', async (hash) => {
    const details: unknown = expect.objectContaining({ actual: hash });
    const refusal = { code: 'UNSUPPORTED_ENCRYPTION', details };
    expect(() => cryptography.digest(hash, new Uint8Array(3))).toThrow(
      expect.objectContaining(refusal),
    );
    const bytes = new Uint8Array(8);
    const derived = cryptography.pbkdf2(hash, bytes, bytes, 10, 20);
    await expect(derived).rejects.toMatchObject(refusal);
  });
});

test('WebCrypto derives keys where it is there and knows the hash', async () => {
  const deriveBits = vi.spyOn(crypto.subtle, 'deriveBits');
  const bytes = filled(16);
  for (const hash of HASHES) await webCryptography().pbkdf2(hash, bytes, bytes, 10, 32);
  expect(deriveBits).toHaveBeenCalledTimes(4);
  deriveBits.mockRestore();
});

test('web decrypts as node does', () => {
  const name = fc.record({
    cipher: fc.constant('aes'),
    mode: fc.constantFrom('cbc', 'xts'),
    ivGenerator: fc.constantFrom('plain', 'plain64', 'essiv'),
    ivHash: fc.constantFrom('sha256', 'md5'),
  });
  const key = fc.constantFrom(16, 24, 32).chain((n) => {
    const part = fc.uint8Array({ minLength: n, maxLength: n });
    return fc.tuple(part, part);
  });
  const sectors = fc.integer({ min: 1, max: 5 });
  const first = fc.oneof(fc.nat(), fc.integer({ min: 2 ** 32 - 9, max: 2 ** 52 }));
  fc.assert(
    fc.property(name, key, sectors, first, fc.nat(), (words, [one, two], count, at, seed) => {
      const whole = words.mode === 'xts' ? new Uint8Array([...one, ...two]) : one;
      const data = Uint8Array.from(
        { length: count * 512 },
        (_, i) => Math.imul(i + seed, 40_503) >>> 8,
      );
      const [byNode, byWeb] = [data.slice(), data.slice()];
      nodeCryptography().sectorCipher(words, whole)(byNode, at);
      webCryptography().sectorCipher(words, whole)(byWeb, at);
      expect(Buffer.compare(byNode, byWeb)).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('SHA-256 of pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
      const [byNode, byWeb] = [nodeSha256(), webSha256()];
      for (const piece of pieces) {
        byNode.update(piece);
        byWeb.update(piece);
      }
      expect(byWeb.digest()).toBe(byNode.digest());
    }),
  );
});
