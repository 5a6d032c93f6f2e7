import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { CipherDirection, CipherName, SectorCipher } from './platform.js';

/**
 * Disk encryption by AES in CBC and XTS mode, for every platform. A platform gives single blocks only
 * (ECB), of all sectors in one call: a cipher object for each sector would take most of the time, and
 * OpenSSL has no XTS with keys of 192 bits.
 */

const SECTOR_BYTES = 512;
const BLOCK_BYTES = 16;

/** Encrypts or decrypts whole blocks of 16 bytes, each on its own, to new memory. */
type BlockCipher = (blocks: Uint8Array) => Uint8Array;

/** What a platform gives. */
export interface BlockCiphers {
  /** AES without a mode (ECB) and without padding, with a key of 16, 24 or 32 bytes. */
  aes(key: Uint8Array, direction: 'encrypt' | 'decrypt'): BlockCipher;
  /** @throws QsnapError UNSUPPORTED_ENCRYPTION for a hash that it has not. */
  digest(hash: string, bytes: Uint8Array): Uint8Array;
}

/** The initial vectors of `count` sectors, one after the other. */
type InitialVectors = (firstSector: number, count: number) => Uint8Array;

/**
 * The cipher by the words of a LUKS header.
 *
 * @throws QsnapError UNSUPPORTED_ENCRYPTION for any but AES in CBC or XTS mode with initial vectors
 *   of plain, plain64 or essiv.
 */
export function sectorCipher(
  name: CipherName,
  key: Uint8Array,
  platform: BlockCiphers,
  direction: CipherDirection = 'decrypt',
): SectorCipher {
  const isKnown = name.cipher === 'aes' && (name.mode === 'cbc' || name.mode === 'xts');
  const dataKey = name.mode === 'xts' ? key.subarray(0, key.length / 2) : key;
  if (!isKnown || !isAesKey(dataKey)) throw unsupported(name, key);
  const vectors = initialVectors(name, key, platform);
  const cipherBlocks = platform.aes(dataKey, direction);
  if (name.mode === 'cbc') {
    const cipherCbc = direction === 'decrypt' ? decryptCbc : encryptCbc;
    return (bytes, firstSector) => {
      cipherCbc(bytes, vectors(firstSector, bytes.length / SECTOR_BYTES), cipherBlocks);
    };
  }
  const encryptTweaks = platform.aes(key.subarray(key.length / 2), 'encrypt');
  return (bytes, firstSector) => {
    const tweaks = encryptTweaks(vectors(firstSector, bytes.length / SECTOR_BYTES));
    cipherXts(bytes, tweaks, cipherBlocks);
  };
}

function isAesKey(key: Uint8Array): boolean {
  return key.length === 16 || key.length === 24 || key.length === 32;
}

function unsupported(name: CipherName, key: Uint8Array): QsnapError {
  const { cipher, mode, ivGenerator, ivHash } = name;
  const hash = ivHash === undefined ? '' : `:${ivHash}`;
  const words = `${cipher}-${mode}-${ivGenerator}${hash}`;
  return new QsnapError(
    'UNSUPPORTED_ENCRYPTION',
    `the cipher "${printableText(words)}" with a key of ${key.length} bytes is not known here`,
    {
      structure: 'encryption header',
      expected: 'aes in cbc or xts mode with plain, plain64 or essiv',
      actual: words,
    },
  );
}

function initialVectors(name: CipherName, key: Uint8Array, platform: BlockCiphers): InitialVectors {
  const numbered = (bits: 32 | 64) => (firstSector: number, count: number) => {
    const vectors = new Uint8Array(count * BLOCK_BYTES);
    const view = new DataView(vectors.buffer);
    for (let i = 0; i < count; i++) {
      const sector = firstSector + i;
      view.setUint32(i * BLOCK_BYTES, sector % 2 ** 32, true);
      if (bits === 64) {
        view.setUint32(i * BLOCK_BYTES + 4, Math.floor(sector / 2 ** 32), true);
      }
    }
    return vectors;
  };
  if (name.ivGenerator === 'plain') return numbered(32);
  if (name.ivGenerator === 'plain64') return numbered(64);
  if (name.ivGenerator !== 'essiv' || name.ivHash === undefined) throw unsupported(name, key);
  const vectorKey = platform.digest(name.ivHash, key);
  if (!isAesKey(vectorKey)) throw unsupported(name, key);
  const encrypt = platform.aes(vectorKey, 'encrypt');
  return (firstSector, count) => encrypt(numbered(64)(firstSector, count));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Each block is XORed with the encrypted one before it; the first of a sector with its vector. */
function decryptCbc(bytes: Uint8Array, vectors: Uint8Array, decrypt: BlockCipher): void {
  const plain = viewOf(decrypt(bytes));
  const out = viewOf(bytes);
  const before = viewOf(vectors);
  // Backwards, so that the encrypted block before is still there when it is needed.
  for (let at = bytes.length - 4; at >= 0; at -= 4) {
    const inSector = at % SECTOR_BYTES;
    const other =
      inSector < BLOCK_BYTES
        ? before.getInt32(((at - inSector) / SECTOR_BYTES) * BLOCK_BYTES + inSector)
        : out.getInt32(at - BLOCK_BYTES);
    out.setInt32(at, plain.getInt32(at) ^ other);
  }
}

/** Each block takes the encrypted one before it, so that the same block of all sectors is done at a time. */
function encryptCbc(bytes: Uint8Array, vectors: Uint8Array, encrypt: BlockCipher): void {
  const sectors = bytes.length / SECTOR_BYTES;
  let before = vectors;
  for (let from = 0; from < SECTOR_BYTES; from += BLOCK_BYTES) {
    const blocks = new Uint8Array(sectors * BLOCK_BYTES);
    for (let i = 0; i < sectors; i++) {
      const at = i * SECTOR_BYTES + from;
      blocks.set(bytes.subarray(at, at + BLOCK_BYTES), i * BLOCK_BYTES);
    }
    xorInto(blocks, before);
    before = encrypt(blocks);
    for (let i = 0; i < sectors; i++) {
      const block = before.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
      bytes.set(block, i * SECTOR_BYTES + from);
    }
  }
}

/** IEEE 1619: each block is XORed before and after with the sector's tweak times 2 to its number. */
function cipherXts(bytes: Uint8Array, firstTweaks: Uint8Array, cipher: BlockCipher): void {
  const masks = new Uint8Array(bytes.length);
  fillTweaks(masks, firstTweaks);
  xorInto(bytes, masks);
  bytes.set(cipher(bytes));
  xorInto(bytes, masks);
}

function fillTweaks(masks: Uint8Array, firstTweaks: Uint8Array): void {
  const out = viewOf(masks);
  const first = viewOf(firstTweaks);
  for (let sector = 0; sector * SECTOR_BYTES < masks.length; sector++) {
    let a = first.getUint32(sector * BLOCK_BYTES, true);
    let b = first.getUint32(sector * BLOCK_BYTES + 4, true);
    let c = first.getUint32(sector * BLOCK_BYTES + 8, true);
    let d = first.getUint32(sector * BLOCK_BYTES + 12, true);
    const end = (sector + 1) * SECTOR_BYTES;
    for (let at = sector * SECTOR_BYTES; at < end; at += BLOCK_BYTES) {
      out.setUint32(at, a, true);
      out.setUint32(at + 4, b, true);
      out.setUint32(at + 8, c, true);
      out.setUint32(at + 12, d, true);
      const carry = d >>> 31;
      d = (d << 1) | (c >>> 31);
      c = (c << 1) | (b >>> 31);
      b = (b << 1) | (a >>> 31);
      a = (a << 1) ^ (carry * 0x87);
    }
  }
}

function xorInto(bytes: Uint8Array, masks: Uint8Array): void {
  const out = viewOf(bytes);
  const other = viewOf(masks);
  for (let at = 0; at < bytes.length; at += 4)
    out.setInt32(at, out.getInt32(at) ^ other.getInt32(at));
}
