import { encodeStruct } from '../base/struct.js';
import { utf8Bytes } from '../base/text.js';
import {
  LUKS_BYTES,
  LUKS_HEADER,
  LUKS_HEADER_BYTES,
  LUKS_MAGIC,
  LUKS_SLOT,
  LUKS_SLOT_BYTES,
  LUKS_SLOT_ENABLED,
  LUKS_SLOT_SALT,
  LUKS_SLOTS_AT,
  LUKS_TEXTS,
  type LuksHeader,
  type LuksSlot,
} from './luks.js';

const SLOT_DISABLED = 0x0000dead;
const SECTOR_BYTES = 512;

/** A LUKS1 header without its key material. Spec: LUKS1 on-disk format specification, version 1.2.3. */
export function encodeLuksHeader(header: LuksHeader): Uint8Array {
  const bytes = new Uint8Array(LUKS_HEADER_BYTES);
  const { masterKeyBytes, masterKeyIterations, payloadOffset } = header;
  encodeStruct(
    LUKS_HEADER,
    {
      ...LUKS_MAGIC,
      version: 1,
      payloadSectors: payloadOffset / SECTOR_BYTES,
      masterKeyBytes,
      masterKeyIterations,
    },
    bytes,
  );
  const { cipherName, cipherMode, ivGenerator, ivHash, hash, uuid } = header;
  const mode = `${cipherMode}-${ivGenerator}${ivHash === undefined ? '' : `:${ivHash}`}`;
  bytes.set(utf8Bytes(cipherName), LUKS_TEXTS.cipherName.at);
  bytes.set(utf8Bytes(mode), LUKS_TEXTS.cipherMode.at);
  bytes.set(utf8Bytes(hash), LUKS_TEXTS.hashName.at);
  bytes.set(utf8Bytes(uuid), LUKS_TEXTS.uuid.at);
  bytes.set(header.masterKeyDigest, LUKS_BYTES.masterKeyDigest.at);
  bytes.set(header.masterKeySalt, LUKS_BYTES.masterKeySalt.at);
  for (const [i, slot] of header.slots.entries()) bytes.set(encodeLuksSlot(slot), luksSlotAt(i));
  return bytes;
}

/** Where a key slot lies in the header. */
export function luksSlotAt(index: number): number {
  return LUKS_SLOTS_AT + index * LUKS_SLOT_BYTES;
}

/** The fields of a key slot. */
export function encodeLuksSlot(slot: LuksSlot): Uint8Array {
  const bytes = new Uint8Array(LUKS_SLOT_BYTES);
  encodeStruct(
    LUKS_SLOT,
    {
      active: slot.active ? LUKS_SLOT_ENABLED : SLOT_DISABLED,
      iterations: slot.iterations,
      keySectors: slot.keyOffset / SECTOR_BYTES,
      stripes: slot.stripes,
    },
    bytes,
  );
  bytes.set(slot.salt, LUKS_SLOT_SALT.at);
  return bytes;
}
