import { printableText, sameBytes } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { LIMITS } from '../../qcow2/limits.js';
import {
  LUKS_HEADER_BYTES,
  parseLuksHeader,
  type LuksHeader,
  type LuksSlot,
} from '../../qcow2/luks.js';
import type { DiskCipher } from './layer.js';
import type { CipherName, Cryptography } from './platform.js';

/** Key of the old AES encryption. */
const AES_KEY_BYTES = 16;
/** Longest master key of any cipher: AES-256 in XTS mode has two keys. */
const KEY_BYTES_MAX = 64;

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
  if (image.header.encryption === 'aes') {
    const key = new Uint8Array(AES_KEY_BYTES);
    key.set(passphrase.subarray(0, AES_KEY_BYTES));
    const name = { cipher: 'aes', mode: 'cbc', ivGenerator: 'plain64', ivHash: undefined };
    return { ...ciphersOf(name, key, cryptography), numberedBy: 'guest' };
  }
  return unlockLuks(image, passphrase, cryptography);
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

/** Spec: LUKS1 on-disk format specification. */
async function unlockLuks(
  image: OpenImage,
  passphrase: Uint8Array,
  cryptography: Cryptography,
): Promise<DiskCipher> {
  const extension = image.extensions.find(({ kind }) => kind === 'encryption-header');
  if (extension?.kind !== 'encryption-header') {
    throw new QsnapError('EXTENSION_INVALID', 'the image is encrypted and has no LUKS header', {
      structure: 'encryption header',
      expected: 'an encryption header extension',
    });
  }
  const { at } = extension.header;
  const bytes = new Uint8Array(LUKS_HEADER_BYTES);
  await image.source.readBatch([{ at, into: bytes }]);
  const header = parseLuksHeader(bytes, at);
  refuseOddKeys(header, at);
  const name = {
    cipher: header.cipherName,
    mode: header.cipherMode,
    ivGenerator: header.ivGenerator,
    ivHash: header.ivHash,
  };
  for (const slot of header.slots) {
    if (!slot.active) continue;
    const key = await keyOfSlot(image, at, header, slot, name, passphrase, cryptography);
    if (await isMasterKey(key, header, cryptography)) {
      return { ...ciphersOf(name, key, cryptography), numberedBy: 'host' };
    }
  }
  throw new QsnapError('PASSPHRASE_WRONG', 'the passphrase opens no key slot of the image', {
    structure: 'encryption header',
    at,
  });
}

function refuseOddKeys(header: LuksHeader, at: number): void {
  const { luksIterationsMax, luksStripes } = LIMITS;
  const active = header.slots.filter((slot) => slot.active);
  const rounds = [header.masterKeyIterations, ...active.map(({ iterations }) => iterations)];
  const isSound =
    header.masterKeyBytes > 0 &&
    header.masterKeyBytes <= KEY_BYTES_MAX &&
    active.every(({ stripes }) => stripes === luksStripes.value) &&
    rounds.every((count) => count > 0 && count <= luksIterationsMax.value);
  if (isSound) return;
  throw new QsnapError(
    'EXTENSION_INVALID',
    'the encryption header describes keys of no known kind',
    {
      structure: 'encryption header',
      at,
      expected:
        `keys of 1 to ${KEY_BYTES_MAX} bytes, ${luksStripes.value} stripes, ` +
        `1 to ${luksIterationsMax.value} iterations`,
      actual: `keys of ${header.masterKeyBytes} bytes, iterations ${rounds.join(', ')}`,
    },
  );
}

async function keyOfSlot(
  image: OpenImage,
  headerAt: number,
  header: LuksHeader,
  slot: LuksSlot,
  name: CipherName,
  passphrase: Uint8Array,
  cryptography: Cryptography,
): Promise<Uint8Array> {
  const { masterKeyBytes, hash } = header;
  const slotKey = await cryptography.pbkdf2(
    hash,
    passphrase,
    slot.salt,
    slot.iterations,
    masterKeyBytes,
  );
  const material = new Uint8Array(Math.ceil((masterKeyBytes * slot.stripes) / 512) * 512);
  await image.source.readBatch([{ at: headerAt + slot.keyOffset, into: material }]);
  cryptography.sectorCipher(name, slotKey)(material, 0);
  const diffuse = (block: Uint8Array): Uint8Array => diffused(block, hash, cryptography);
  return mergedKey(material, masterKeyBytes, slot.stripes, diffuse);
}

/** Undoes the anti-forensic splitting of a key. Spec: LUKS1 on-disk format specification. */
function mergedKey(
  material: Uint8Array,
  keyBytes: number,
  stripes: number,
  diffuse: (block: Uint8Array) => Uint8Array,
): Uint8Array {
  let block: Uint8Array = new Uint8Array(keyBytes);
  for (let stripe = 0; stripe < stripes; stripe++) {
    for (let i = 0; i < keyBytes; i++) block[i]! ^= material[stripe * keyBytes + i]!;
    if (stripe < stripes - 1) block = diffuse(block);
  }
  return block;
}

/** Each digest-sized part is replaced by the hash of its big-endian number and itself. */
function diffused(block: Uint8Array, hash: string, cryptography: Cryptography): Uint8Array {
  const out = new Uint8Array(block.length);
  for (let part = 0, at = 0; at < block.length; part++) {
    const numbered = new Uint8Array(4 + block.length - at);
    new DataView(numbered.buffer).setUint32(0, part);
    numbered.set(block.subarray(at), 4);
    const digestBytes = digestLength(hash, cryptography);
    const digest = cryptography.digest(hash, numbered.subarray(0, 4 + digestBytes));
    out.set(digest.subarray(0, block.length - at), at);
    at += digestBytes;
  }
  return out;
}

/** At least 1: parts of no bytes would never end. */
function digestLength(hash: string, cryptography: Cryptography): number {
  const { length } = cryptography.digest(hash, new Uint8Array(0));
  if (length > 0) return length;
  throw new QsnapError(
    'UNSUPPORTED_ENCRYPTION',
    `the hash "${printableText(hash)}" has a digest of no bytes`,
    { structure: 'encryption header', actual: hash, expected: 'a hash with a digest' },
  );
}

async function isMasterKey(
  key: Uint8Array,
  header: LuksHeader,
  cryptography: Cryptography,
): Promise<boolean> {
  const { hash, masterKeySalt, masterKeyIterations, masterKeyDigest } = header;
  const bytes = masterKeyDigest.length;
  const digest = await cryptography.pbkdf2(hash, key, masterKeySalt, masterKeyIterations, bytes);
  return sameBytes(digest, masterKeyDigest);
}
