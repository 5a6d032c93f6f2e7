import { hexOfBytes } from '../base/text.js';
import { roundUp } from '../base/units.js';
import { encodeLuksHeader } from '../qcow2/encode-luks.js';
import { LIMITS } from '../qcow2/limits.js';
import { LUKS_SLOT_COUNT, type LuksHeader, type LuksSlot } from '../qcow2/luks.js';
import type { DiskCipher } from '../read/guest/layer.js';
import type { CipherName } from '../read/guest/platform.js';
import { luksCipher } from '../read/guest/unlock.js';
import { digestRoundsOf, type KeyMaker } from './key-maker.js';
import { sealSlot, type NewPassphrase } from './seal-slot.js';

/** How a new LUKS header is to encrypt. */
export interface NewLuksOptions extends NewPassphrase {
  readonly cipher: CipherName;
  /** Of the master key: of both keys in XTS mode. */
  readonly keyBytes: number;
  /** The hash of PBKDF2 and of the splitting of keys. */
  readonly hash: string;
}

/** The encryption of an image that is being made. */
export interface NewLuks extends Pick<DiskCipher, 'encrypt' | 'numberedBy'> {
  readonly method: 'luks';
  /** The header and the key material of its slots, up to where a payload would begin. */
  readonly keys: Uint8Array;
}

/** LUKS1 on-disk format: key material begins here, and at multiples of it. */
const ALIGNMENT = 4096;
const DIGEST_BYTES = 20;
const SALT_BYTES = 32;
const UUID_BYTES = 16;

/** How long a LUKS header is with the key material of all slots, by the length of the master key. */
export function luksBytes(keyBytes: number): number {
  return ALIGNMENT + LUKS_SLOT_COUNT * slotBytes(keyBytes);
}

function slotBytes(keyBytes: number): number {
  return roundUp(keyBytes * LIMITS.luksStripes.value, ALIGNMENT);
}

/**
 * Makes a LUKS header with a new master key, of which the passphrase opens the first key slot.
 *
 * @throws QsnapError UNSUPPORTED_ENCRYPTION for a cipher or a hash that the platform has not; LIMIT_EXCEEDED.
 * Spec: LUKS1 on-disk format specification, version 1.2.3.
 */
export async function newLuks(options: NewLuksOptions, maker: KeyMaker): Promise<NewLuks> {
  const { cipher, keyBytes, hash, milliseconds } = options;
  const { cryptography, random } = maker;
  const masterKey = random(keyBytes);
  const { encrypt, numberedBy } = luksCipher(cipher, masterKey, cryptography);
  const salt = random(SALT_BYTES);
  const rounds = digestRoundsOf(maker, hash, DIGEST_BYTES, milliseconds);
  const digest = await cryptography.pbkdf2(hash, masterKey, salt, rounds, DIGEST_BYTES);
  const empty = Array.from({ length: LUKS_SLOT_COUNT }, (_, i) => emptySlot(i, keyBytes));
  const header: LuksHeader = {
    cipherName: cipher.cipher,
    cipherMode: cipher.mode,
    ivGenerator: cipher.ivGenerator,
    ivHash: cipher.ivHash,
    hash,
    masterKeyBytes: keyBytes,
    masterKeyIterations: rounds,
    masterKeySalt: salt,
    masterKeyDigest: digest,
    payloadOffset: luksBytes(keyBytes),
    uuid: uuidOf(random(UUID_BYTES)),
    slots: empty,
  };
  const { slot, material } = await sealSlot(header, empty[0]!, masterKey, options, maker);
  const bytes = new Uint8Array(luksBytes(keyBytes));
  bytes.set(encodeLuksHeader({ ...header, slots: [slot, ...empty.slice(1)] }));
  bytes.set(material, slot.keyOffset);
  return { method: 'luks', keys: bytes, encrypt, numberedBy };
}

/** A key slot that nothing opens. */
function emptySlot(index: number, keyBytes: number): LuksSlot {
  return {
    active: false,
    iterations: 0,
    salt: new Uint8Array(SALT_BYTES),
    stripes: LIMITS.luksStripes.value,
    keyOffset: ALIGNMENT + index * slotBytes(keyBytes),
  };
}

/** RFC 9562, version 4: of random bytes. */
function uuidOf(random: Uint8Array): string {
  const bytes = random.slice();
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = hexOfBytes(bytes);
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map(([a, b]) => hex.slice(a, b)).join('-');
}
