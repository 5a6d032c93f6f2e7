/** Deletions as they are where nothing gives freed clusters back: on a medium without holes, or by a machine without discard. */
import { executePlan, memoryDevice, openImage, planDelete } from '../../src/index.js';
import { layoutOf, refcountOf } from './image-builder-layout.js';

/**
 * What a deletion leaves where it punches no holes: the file as it is afterwards, with what its holes had before. QEMU
 * deletes in the same way on both kinds of medium, but for the holes.
 *
 * @param before the bytes of the image before the deletion.
 * @param after the same afterwards.
 */
export function unpunched(before: Uint8Array, after: Uint8Array): Uint8Array {
  const bytes = after.slice();
  const layout = layoutOf(after);
  const { clusterBytes } = layout;
  const end = Math.min(before.length, after.length);
  for (let at = 0; at < end; at += clusterBytes) {
    if (refcountOf(after, layout, at / clusterBytes) !== 0n) continue;
    const stop = Math.min(at + clusterBytes, end);
    if (after.subarray(at, stop).every((byte) => byte === 0))
      bytes.set(before.subarray(at, stop), at);
  }
  return bytes;
}

/** The image with snapshots deleted by qsnap, one after the other, as where nothing is punched. */
export async function deletedUnpunched(bytes: Uint8Array, ...names: string[]): Promise<Uint8Array> {
  let left = bytes;
  for (const name of names) {
    const device = memoryDevice(left.slice(), 'image', { growable: true });
    const image = await openImage(device);
    const snapshot = image.snapshots.find((one) => one.name === name)!;
    await executePlan(await planDelete(image, [snapshot]));
    left = unpunched(left, device.snapshotBytes());
  }
  return left;
}
