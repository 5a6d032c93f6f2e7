import { firstDifference, hasSameBytes, isZero } from '../../../base/bytes.js';
import type { DiskCipher } from '../../../read/guest/layer.js';
import { notUnpacked, unpack } from '../unpacked.js';
import { carriedPairs } from './carried.js';
import { differentBytes } from './difference.js';
import type { Judging } from './judging.js';
import type { LoadedPair, Side } from './pair-steps.js';

/**
 * Compares the bytes of all pairs.
 *
 * @param pairs decrypted in place.
 * @throws QsnapError VERIFY_FAILED with the first that differ, CLUSTER_DATA_INVALID where a compressed cluster can't be
 *   unpacked and was not carried over either, UNSUPPORTED_COMPRESSION.
 */
export async function judge(pairs: readonly LoadedPair[], judging: Judging): Promise<void> {
  if (judging.cipher !== undefined) decrypt(pairs, judging.cipher);
  const carried = await carriedPairs(pairs, judging);
  const left = pairs.filter((loaded) => !carried.has(loaded));
  const old = await unpackedOf(left, 'old', judging);
  const made = await unpackedOf(left, 'made', judging);
  const { isEqual = hasSameBytes, images } = judging;
  for (const loaded of left) {
    const [before, now] = [contentOf(loaded, 'old', old), contentOf(loaded, 'made', made)];
    // One of them is there: zeros on both sides are no pair.
    const isSame =
      before === undefined
        ? isZero(now!)
        : now === undefined
          ? isZero(before)
          : isEqual(before, now);
    if (isSame) continue;
    const zeros = new Uint8Array(loaded.pair.length);
    throw differentBytes(loaded.pair, firstDifference(before ?? zeros, now ?? zeros), images);
  }
}

function decrypt(pairs: readonly LoadedPair[], { decrypt: decipher }: DiskCipher): void {
  for (const { pair, bytes } of pairs) {
    if (pair.old.kind === 'data') decipher(bytes.old!, pair.old.at / 512);
    if (pair.made.kind === 'data') decipher(bytes.made!, pair.made.at / 512);
  }
}

/** The content of compressed clusters by their host offset. */
async function unpackedOf(
  pairs: readonly LoadedPair[],
  side: Side,
  { images, decompressor }: Judging,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const packed = new Map<number, Uint8Array>();
  for (const { pair, bytes } of pairs) {
    if (pair[side].kind === 'compressed') packed.set(pair[side].at, bytes[side]!);
  }
  const unpacked = new Map<number, Uint8Array>();
  for (const [at, content] of await unpack(images[side], packed, decompressor)) {
    if (content !== undefined) unpacked.set(at, content);
    else if (side === 'old') throw notUnpacked(images.old, at);
    else {
      const { pair } = pairs.find((loaded) => loaded.pair.made.at === at)!;
      throw differentBytes(pair, 0, images, notUnpacked(images.made, at));
    }
  }
  return unpacked;
}

/** The bytes of a pair as a guest has them; undefined for zeros. */
function contentOf(
  { pair, bytes }: LoadedPair,
  side: Side,
  unpacked: ReadonlyMap<number, Uint8Array>,
): Uint8Array | undefined {
  const { kind, at, skip } = pair[side];
  if (kind !== 'compressed') return bytes[side];
  return unpacked.get(at)!.subarray(skip, skip + pair.length);
}
