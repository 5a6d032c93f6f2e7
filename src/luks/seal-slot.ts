import type { LuksHeader, LuksSlot } from '../qcow2/luks.js';
import { cipherNameOf, diffuser } from '../read/guest/luks-keys.js';
import { roundsOf, type KeyMaker } from './key-maker.js';

/** A key slot that a passphrase opens: its fields, and the key material that belongs to it. */
export interface SealedSlot {
  readonly slot: LuksSlot;
  readonly material: Uint8Array;
}

/** What a key slot is filled with. */
export interface NewPassphrase {
  readonly passphrase: Uint8Array;
  /** How long it is to take to try a passphrase on this machine. */
  readonly milliseconds: number;
}

const SALT_BYTES = 32;

/**
 * Fills a key slot, so that the passphrase opens it.
 *
 * @throws QsnapError UNSUPPORTED_ENCRYPTION, LIMIT_EXCEEDED.
 * Spec: LUKS1 on-disk format specification.
 */
export async function sealSlot(
  header: Pick<
    LuksHeader,
    'hash' | 'masterKeyBytes' | 'cipherName' | 'cipherMode' | 'ivGenerator' | 'ivHash'
  >,
  place: Pick<LuksSlot, 'keyOffset' | 'stripes'>,
  masterKey: Uint8Array,
  { passphrase, milliseconds }: NewPassphrase,
  maker: KeyMaker,
): Promise<SealedSlot> {
  const { hash, masterKeyBytes } = header;
  const { cryptography, random } = maker;
  const iterations = roundsOf(maker, hash, masterKeyBytes, milliseconds);
  const salt = random(SALT_BYTES);
  const slotKey = await cryptography.pbkdf2(hash, passphrase, salt, iterations, masterKeyBytes);
  const noise = random(masterKeyBytes * (place.stripes - 1));
  const material = splitKey(masterKey, noise, diffuser(hash, cryptography));
  cryptography.sectorCipher(cipherNameOf(header), slotKey, 'encrypt')(material, 0);
  const { keyOffset, stripes } = place;
  return { slot: { active: true, iterations, salt, stripes, keyOffset }, material };
}

/** Anti-forensic splitting: the key is lost with any part of what this gives. */
function splitKey(
  key: Uint8Array,
  noise: Uint8Array,
  diffuse: (block: Uint8Array) => Uint8Array,
): Uint8Array {
  const split = new Uint8Array(noise.length + key.length);
  split.set(noise);
  let block: Uint8Array = new Uint8Array(key.length);
  for (let at = 0; at < noise.length; at += key.length) {
    for (let i = 0; i < key.length; i++) block[i]! ^= noise[at + i]!;
    block = diffuse(block);
  }
  split.set(
    block.map((byte, i) => byte ^ key[i]!),
    noise.length,
  );
  return split;
}
