/**
 * Refcount block entries of 1 to 64 bits. Entries of 1, 2 and 4 bits are packed from the low end
 * of each byte; wider ones are big-endian. Spec: Refcount block entry.
 */

/** Higher refcounts are all read as this one. No image can have that many references. */
export const REFCOUNT_CAP = 0xffff_ffff;

/** Decodes the first `into.length` entries of a block. Refcounts above REFCOUNT_CAP become REFCOUNT_CAP. */
export function decodeRefcounts(
  block: Uint8Array,
  refcountBits: number,
  into: Uint16Array | Uint32Array,
): void {
  switch (refcountBits) {
    case 8:
      for (let i = 0; i < into.length; i++) into[i] = block[i]!;
      return;
    case 16:
      for (let i = 0; i < into.length; i++) into[i] = (block[2 * i]! << 8) | block[2 * i + 1]!;
      return;
    case 32:
      for (let i = 0; i < into.length; i++) into[i] = word(block, 4 * i);
      return;
    case 64:
      for (let i = 0; i < into.length; i++) {
        into[i] = word(block, 8 * i) !== 0 ? REFCOUNT_CAP : word(block, 8 * i + 4);
      }
      return;
    default:
      decodePacked(block, refcountBits, into);
  }
}

function decodePacked(
  block: Uint8Array,
  refcountBits: number,
  into: Uint16Array | Uint32Array,
): void {
  const perByte = 8 / refcountBits;
  const mask = 2 ** refcountBits - 1;
  for (let i = 0; i < into.length; i++) {
    const shift = (i % perByte) * refcountBits;
    into[i] = (block[Math.floor(i / perByte)]! >>> shift) & mask;
  }
}

/** Encodes `counts` into `block`; entries that `counts` lacks become 0. */
export function encodeRefcounts(
  counts: Uint16Array | Uint32Array,
  refcountBits: number,
  block: Uint8Array,
): void {
  block.fill(0);
  switch (refcountBits) {
    case 8:
      for (let i = 0; i < counts.length; i++) block[i] = counts[i]!;
      return;
    case 16:
      for (let i = 0; i < counts.length; i++) {
        block[2 * i] = counts[i]! >>> 8;
        block[2 * i + 1] = counts[i]! & 0xff;
      }
      return;
    case 32:
      for (let i = 0; i < counts.length; i++) putWord(block, 4 * i, counts[i]!);
      return;
    case 64:
      for (let i = 0; i < counts.length; i++) putWord(block, 8 * i + 4, counts[i]!);
      return;
    default:
      encodePacked(counts, refcountBits, block);
  }
}

function encodePacked(
  counts: Uint16Array | Uint32Array,
  refcountBits: number,
  block: Uint8Array,
): void {
  const perByte = 8 / refcountBits;
  for (let i = 0; i < counts.length; i++) {
    const at = Math.floor(i / perByte);
    block[at] = block[at]! | (counts[i]! << ((i % perByte) * refcountBits));
  }
}

/** Index of the first entry above REFCOUNT_CAP in a block of 64-bit entries, as it is stored; -1 for none. */
export function firstAboveCap(stored: Uint32Array): number {
  for (let i = 0; i < stored.length; i += 2) if (stored[i] !== 0) return i / 2;
  return -1;
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
