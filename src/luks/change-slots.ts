import { QsnapError } from '../errors.js';
import { encodeLuksSlot, luksSlotAt } from '../qcow2/encode-luks.js';
import { LUKS_HEADER_BYTES, type LuksSlot } from '../qcow2/luks.js';
import type { StoredLuks } from '../read/guest/luks-keys.js';
import type { SealedSlot } from './seal-slot.js';

/** Bytes to write, and where in the file. */
export interface KeyWrite {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Writes that have to be on the medium before those of the next step begin. */
export type KeyStep = readonly KeyWrite[];

/** The word of a key slot that says whether it is used. It lies in one sector, of whichever slot. */
const ACTIVE_BYTES = 4;

/**
 * Fills a key slot that nothing uses: key material and fields come first, and last the word that makes it one to try. So a
 * cut leaves the slot as it was to whoever opens the image, or filled.
 */
export function fillSlot(luks: StoredLuks, index: number, sealed: SealedSlot): readonly KeyStep[] {
  const at = luks.at + luksSlotAt(index);
  const bytes = encodeLuksSlot(sealed.slot);
  const inactive = encodeLuksSlot({ ...sealed.slot, active: false });
  return [
    [
      { at: luks.at + sealed.slot.keyOffset, bytes: sealed.material },
      { at, bytes: inactive },
    ],
    [{ at, bytes: bytes.slice(0, ACTIVE_BYTES) }],
  ];
}

/**
 * Erases a key slot: its key material comes first, so that no slot that counts as empty can still be opened. A cut leaves at
 * worst a used slot that no passphrase opens.
 *
 * @param noise random bytes, as many as there is key material.
 */
export function eraseSlot(luks: StoredLuks, index: number, noise: Uint8Array): readonly KeyStep[] {
  const slot = luks.header.slots[index]!;
  const none = { ...slot, active: false, iterations: 0, salt: new Uint8Array(slot.salt.length) };
  return [
    [{ at: luks.at + slot.keyOffset, bytes: noise }],
    [{ at: luks.at + luksSlotAt(index), bytes: encodeLuksSlot(none) }],
  ];
}

/**
 * Fills a key slot that is used. Another one is filled in the meantime, and erased afterwards: at every moment the old
 * passphrase opens the image, or the new one.
 *
 * @param spare an unused slot, and the same passphrase sealed for it.
 * @param noise as of `eraseSlot`.
 */
export function overwriteSlot(
  luks: StoredLuks,
  index: number,
  sealed: SealedSlot,
  spare: { readonly index: number; readonly sealed: SealedSlot },
  noise: Uint8Array,
): readonly KeyStep[] {
  return [
    ...fillSlot(luks, spare.index, spare.sealed),
    ...eraseSlot(luks, index, noise),
    ...fillSlot(luks, index, sealed),
    ...eraseSlot(luks, spare.index, noise),
  ];
}

/** How long the key material of a slot is. */
export function materialBytes({ header }: StoredLuks, { stripes }: LuksSlot): number {
  return header.masterKeyBytes * stripes;
}

/**
 * Refuses a header of which one slot's key material lies over another's, over the header or behind the clusters that are
 * kept for it: what is written there would destroy something else.
 *
 * @throws QsnapError EXTENSION_INVALID.
 */
export function refuseOddSlots(luks: StoredLuks): void {
  const places = luks.header.slots
    .map((slot) => ({ at: slot.keyOffset, end: slot.keyOffset + materialBytes(luks, slot) }))
    .toSorted((a, b) => a.at - b.at);
  let end = LUKS_HEADER_BYTES;
  for (const place of [...places, { at: luks.bytes, end: luks.bytes }]) {
    if (place.at < end) throw oddSlots(luks, place.at);
    end = place.end;
  }
}

function oddSlots({ at }: StoredLuks, keyOffset: number): QsnapError {
  return new QsnapError('EXTENSION_INVALID', 'key slots of the encryption header overlap', {
    structure: 'encryption header',
    at,
    actual: `key material at ${keyOffset}`,
    expected: 'key material of each slot behind the header, and of no two in one place',
  });
}
