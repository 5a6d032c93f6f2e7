/**
 * Refcount block entries of 1 to 64 bits. Entries of 1, 2 and 4 bits are packed from the low end
 * of each byte; wider ones are big-endian. Spec: Refcount block entry.
 */

/** A stored refcount that does not fit into 32 bits. No image can have that many references. */
export const TOO_LARGE = -1;

/**
 * Decodes the first `into.length` entries of a block.
 *
 * @returns TOO_LARGE when a 64-bit entry exceeds 2^32 - 1 (its index is then undefined), else 0.
 */
export function decodeRefcounts(
  block: Uint8Array,
  refcountBits: number,
  into: Uint16Array | Uint32Array,
): number {
  switch (refcountBits) {
    case 8:
      for (let i = 0; i < into.length; i++) into[i] = block[i]!;
      return 0;
    case 16:
      for (let i = 0; i < into.length; i++) into[i] = (block[2 * i]! << 8) | block[2 * i + 1]!;
      return 0;
    case 32:
      for (let i = 0; i < into.length; i++) into[i] = word(block, 4 * i);
      return 0;
    case 64:
      for (let i = 0; i < into.length; i++) {
        if (word(block, 8 * i) !== 0) return TOO_LARGE;
        into[i] = word(block, 8 * i + 4);
      }
      return 0;
    default:
      decodePacked(block, refcountBits, into);
      return 0;
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

/**
 * Decodes a whole block of an image that may be damaged: counts that no image can have end as the
 * highest that is told apart.
 */
export function decodeRefcountsCapped(
  block: Uint8Array,
  refcountBits: number,
  into: Uint16Array | Uint32Array,
): void {
  if (decodeRefcounts(block, refcountBits, into) !== TOO_LARGE) return;
  for (let i = 0; i < into.length; i++) {
    into[i] = word(block, 8 * i) !== 0 ? 0xffff_ffff : word(block, 8 * i + 4);
  }
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
