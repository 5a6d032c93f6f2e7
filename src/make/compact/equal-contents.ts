import { hasSameBytes } from '../../base/bytes.js';

/** Tells whether two stretches are the same. */
export type IsEqual = (a: Uint8Array, b: Uint8Array) => boolean;

/**
 * Finds contents that are equal among some of the same length. A sum is made of each, so that only those are compared
 * that are most likely equal: many disks may have different clusters that begin alike.
 */
export class EqualContents<Item> {
  readonly #isEqual: IsEqual;
  readonly #bySum = new Map<number, { readonly bytes: Uint8Array; readonly item: Item }[]>();

  constructor(isEqual: IsEqual = hasSameBytes) {
    this.#isEqual = isEqual;
  }

  /**
   * The item that first came with these bytes; the one that comes now where none did.
   *
   * @param bytes unchanged as long as others are looked up.
   */
  firstLike(bytes: Uint8Array, item: Item): Item {
    const sum = sumOf(bytes);
    const alike = this.#bySum.get(sum) ?? [];
    const first = alike.find((one) => this.#isEqual(one.bytes, bytes));
    if (first !== undefined) return first.item;
    this.#bySum.set(sum, [...alike, { bytes, item }]);
    return item;
  }
}

/** A sum of words that depends on their order; the bytes of clusters are whole words. */
function sumOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  for (let at = 0; at < view.byteLength; at += 4)
    sum = Math.imul(sum ^ view.getInt32(at), 0x01000193);
  return sum;
}
