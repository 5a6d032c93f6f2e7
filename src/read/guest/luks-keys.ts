import { printableText, sameBytes } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { LIMITS } from '../../qcow2/limits.js';
import {
  LUKS_HEADER_BYTES,
  parseLuksHeader,
  type LuksHeader,
  type LuksSlot,
} from '../../qcow2/luks.js';
import type { CipherName, Cryptography } from './platform.js';

/** Longest master key of any cipher: AES-256 in XTS mode has two keys. */
const KEY_BYTES_MAX = 64;

/** A LUKS header, and where in the file it and its key material lie. In bytes. */
export interface StoredLuks {
  readonly at: number;
  /** With the key material. */
  readonly bytes: number;
  readonly header: LuksHeader;
}

/** @throws QsnapError EXTENSION_INVALID for an image without a LUKS header, or with keys of no known kind. */
export async function readLuks({ extensions, source }: OpenImage): Promise<StoredLuks> {
  const extension = extensions.find(({ kind }) => kind === 'encryption-header');
  if (extension?.kind !== 'encryption-header') {
    throw new QsnapError('EXTENSION_INVALID', 'the image is encrypted and has no LUKS header', {
      structure: 'encryption header',
      expected: 'an encryption header extension',
    });
  }
  const bytes = new Uint8Array(LUKS_HEADER_BYTES);
  await source.readBatch([{ at: extension.header.at, into: bytes }]);
  const header = parseLuksHeader(bytes, extension.header.at);
  refuseOddKeys(header, extension.header.at);
  return { ...extension.header, header };
}

/** The words by which a LUKS header names its cipher. */
export function cipherNameOf({
  cipherName,
  cipherMode,
  ivGenerator,
  ivHash,
}: Pick<LuksHeader, 'cipherName' | 'cipherMode' | 'ivGenerator' | 'ivHash'>): CipherName {
  return { cipher: cipherName, mode: cipherMode, ivGenerator, ivHash };
}

/**
 * The master key by the first key slot that the passphrase opens.
 *
 * @throws QsnapError PASSPHRASE_WRONG, UNSUPPORTED_ENCRYPTION.
 * Spec: LUKS1 on-disk format specification.
 */
export async function openSlots(
  source: BlockSource,
  luks: StoredLuks,
  passphrase: Uint8Array,
  cryptography: Cryptography,
): Promise<{ readonly key: Uint8Array; readonly slot: number }> {
  for (const slot of luks.header.slots.keys()) {
    const key = await openSlot(source, luks, slot, passphrase, cryptography);
    if (key !== undefined) return { key, slot };
  }
  throw new QsnapError('PASSPHRASE_WRONG', 'the passphrase opens no key slot of the image', {
    structure: 'encryption header',
    at: luks.at,
  });
}

/** The master key by one key slot; undefined where the passphrase does not open it. */
export async function openSlot(
  source: BlockSource,
  luks: StoredLuks,
  index: number,
  passphrase: Uint8Array,
  cryptography: Cryptography,
): Promise<Uint8Array | undefined> {
  const slot = luks.header.slots[index]!;
  if (!slot.active) return undefined;
  const key = await keyOfSlot(source, luks, slot, passphrase, cryptography);
  return (await isMasterKey(key, luks.header, cryptography)) ? key : undefined;
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
  source: BlockSource,
  { at, header }: StoredLuks,
  slot: LuksSlot,
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
  await source.readBatch([{ at: at + slot.keyOffset, into: material }]);
  cryptography.sectorCipher(cipherNameOf(header), slotKey)(material, 0);
  return mergedKey(material, masterKeyBytes, slot.stripes, diffuser(hash, cryptography));
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

/**
 * What mixes the bytes of a block: each digest-sized part is replaced by the hash of its big-endian number and itself.
 *
 * @throws QsnapError UNSUPPORTED_ENCRYPTION for a hash that is not known.
 * Spec: LUKS1 on-disk format specification, anti-forensic splitter.
 */
export function diffuser(
  hash: string,
  cryptography: Cryptography,
): (block: Uint8Array) => Uint8Array {
  const digestBytes = digestLength(hash, cryptography);
  const numbered = new Uint8Array(4 + digestBytes);
  const number = new DataView(numbered.buffer);
  return (block) => {
    const out = new Uint8Array(block.length);
    for (let part = 0, at = 0; at < block.length; part++, at += digestBytes) {
      const bytes = block.subarray(at, at + digestBytes);
      number.setUint32(0, part);
      numbered.set(bytes, 4);
      const digest = cryptography.digest(hash, numbered.subarray(0, 4 + bytes.length));
      out.set(digest.subarray(0, bytes.length), at);
    }
    return out;
  };
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
