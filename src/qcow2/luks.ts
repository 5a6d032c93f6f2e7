import { decodeStruct, type Layout } from '../base/struct.js';
import { utf8Text } from '../base/text.js';
import { hex } from '../base/words.js';
import { QsnapError } from '../errors.js';

/** A key slot of a LUKS1 header. */
export interface LuksSlot {
  readonly active: boolean;
  /** Rounds of the key derivation; says nothing in an inactive slot. */
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly stripes: number;
  /** Where the key material lies, in bytes from the start of the LUKS header. */
  readonly keyOffset: number;
}

/** What a LUKS1 header says of itself. Nothing in it is secret or decrypted. */
export interface LuksHeader {
  /** As written, such as "aes". */
  readonly cipherName: string;
  /** The block mode alone, such as "xts". */
  readonly cipherMode: string;
  /** How initial vectors are made, such as "plain64" or "essiv". */
  readonly ivGenerator: string;
  /** The hash that the IV generator uses ("sha256" in "essiv:sha256"), where it has one. */
  readonly ivHash: string | undefined;
  readonly hash: string;
  readonly masterKeyBytes: number;
  readonly masterKeyIterations: number;
  readonly masterKeySalt: Uint8Array;
  /** What the master key's derivation gives, by which a right passphrase is known. */
  readonly masterKeyDigest: Uint8Array;
  /** Where the payload begins, in bytes. In a qcow2 image the payload lies elsewhere. */
  readonly payloadOffset: number;
  readonly uuid: string;
  readonly slots: readonly LuksSlot[];
}

/** LUKS1 on-disk format, figure 1: the numbers of the partition header. */
export const LUKS_HEADER = {
  magicHigh: { at: 0, type: 'u32' },
  magicLow: { at: 4, type: 'u16' },
  version: { at: 6, type: 'u16' },
  payloadSectors: { at: 104, type: 'u32' },
  masterKeyBytes: { at: 108, type: 'u32' },
  masterKeyIterations: { at: 164, type: 'u32' },
} as const satisfies Layout;
/** The texts and bytes of the same, in bytes. */
export const LUKS_TEXTS = {
  cipherName: { at: 8, bytes: 32 },
  cipherMode: { at: 40, bytes: 32 },
  hashName: { at: 72, bytes: 32 },
  uuid: { at: 168, bytes: 40 },
} as const;
export const LUKS_BYTES = {
  masterKeyDigest: { at: 112, bytes: 20 },
  masterKeySalt: { at: 132, bytes: 32 },
} as const;

/** LUKS1 on-disk format, figure 2: a key slot. */
export const LUKS_SLOT = {
  active: { at: 0, type: 'u32' },
  iterations: { at: 4, type: 'u32' },
  keySectors: { at: 40, type: 'u32' },
  stripes: { at: 44, type: 'u32' },
} as const satisfies Layout;
export const LUKS_SLOT_SALT = { at: 8, bytes: 32 };
export const LUKS_SLOTS_AT = 208;
export const LUKS_SLOT_BYTES = 48;
export const LUKS_SLOT_COUNT = 8;
export const LUKS_SLOT_ENABLED = 0x00ac71f3;

/** "LUKS", 0xBA, 0xBE. */
export const LUKS_MAGIC = { magicHigh: 0x4c554b53, magicLow: 0xbabe } as const;
const SECTOR_BYTES = 512;

/** Length of a LUKS1 header without its key material. */
export const LUKS_HEADER_BYTES = LUKS_SLOTS_AT + LUKS_SLOT_COUNT * LUKS_SLOT_BYTES;

/**
 * Parses a LUKS1 header.
 *
 * @param bytes at least `LUKS_HEADER_BYTES` bytes.
 * @param at where they lie in the file; for messages.
 * @throws QsnapError EXTENSION_INVALID when they are no LUKS1 header.
 * Spec: LUKS1 on-disk format specification, version 1.2.3.
 */
export function parseLuksHeader(bytes: Uint8Array, at = 0): LuksHeader {
  if (bytes.length < LUKS_HEADER_BYTES) {
    throw invalid(`the encryption header has ${bytes.length} bytes`, at, `${LUKS_HEADER_BYTES}`);
  }
  const raw = decodeStruct(LUKS_HEADER, bytes);
  if (raw.magicHigh !== LUKS_MAGIC.magicHigh || raw.magicLow !== LUKS_MAGIC.magicLow) {
    const found = `${hex(raw.magicHigh)} ${hex(raw.magicLow)}`;
    throw invalid(`the encryption header starts with ${found}`, at, '"LUKS", 0xba, 0xbe');
  }
  if (raw.version !== 1) {
    throw invalid(`the encryption header has LUKS version ${raw.version}`, at + 6, 'version 1');
  }
  const [mode = '', iv = '', ivHash] = field(bytes, LUKS_TEXTS.cipherMode).split(/[-:]/);
  return {
    cipherName: field(bytes, LUKS_TEXTS.cipherName),
    cipherMode: mode,
    ivGenerator: iv,
    ivHash,
    hash: field(bytes, LUKS_TEXTS.hashName),
    masterKeyBytes: raw.masterKeyBytes,
    masterKeyIterations: raw.masterKeyIterations,
    masterKeySalt: part(bytes, LUKS_BYTES.masterKeySalt),
    masterKeyDigest: part(bytes, LUKS_BYTES.masterKeyDigest),
    payloadOffset: raw.payloadSectors * SECTOR_BYTES,
    uuid: field(bytes, LUKS_TEXTS.uuid),
    slots: Array.from({ length: LUKS_SLOT_COUNT }, (_, i) => decodeSlot(bytes, i)),
  };
}

function decodeSlot(bytes: Uint8Array, index: number): LuksSlot {
  const at = LUKS_SLOTS_AT + index * LUKS_SLOT_BYTES;
  const raw = decodeStruct(LUKS_SLOT, bytes, at);
  return {
    active: raw.active === LUKS_SLOT_ENABLED,
    iterations: raw.iterations,
    salt: part(bytes, { ...LUKS_SLOT_SALT, at: at + LUKS_SLOT_SALT.at }),
    stripes: raw.stripes,
    keyOffset: raw.keySectors * SECTOR_BYTES,
  };
}

interface Place {
  readonly at: number;
  readonly bytes: number;
}

function part(bytes: Uint8Array, place: Place): Uint8Array {
  return bytes.slice(place.at, place.at + place.bytes);
}

/** A text field; it ends at the first zero byte. */
function field(bytes: Uint8Array, place: Place): string {
  const raw = part(bytes, place);
  const end = raw.indexOf(0);
  return utf8Text(end === -1 ? raw : raw.subarray(0, end));
}

function invalid(message: string, at: number, expected: string): QsnapError {
  return new QsnapError('EXTENSION_INVALID', message, {
    structure: 'encryption header',
    at,
    expected,
  });
}
