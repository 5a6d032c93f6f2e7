/** Images with VM state that no entry of the snapshot table tells of, as QEMU leaves it. */
import {
  blockAt,
  layoutOf,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  snapshotsOf,
  u64,
} from './image-builder-layout.js';

/**
 * Maps new clusters behind the VM state of a snapshot, at the end of the file, as a longer VM state leaves its end. For
 * images with refcounts of 16 bits that have a block for them.
 *
 * @param position of the snapshot in the table.
 * @param clusters how many.
 */
export function withLeftOver(image: Uint8Array, position: number, clusters: number): Uint8Array {
  const layout = layoutOf(image);
  const { clusterBytes, extendedL2, refcountBits } = layout;
  const firstNew = Math.ceil(image.length / clusterBytes);
  const bytes = new Uint8Array((firstNew + clusters) * clusterBytes).fill(0x77);
  bytes.fill(0, image.length, firstNew * clusterBytes);
  bytes.set(image);
  const { snapshots } = snapshotsOf(bytes);
  const snapshot = snapshots[position]!;
  const entryBytes = extendedL2 ? 16 : 8;
  const l2Entries = clusterBytes / entryBytes;
  const stateClusters = Math.ceil(Number(snapshot.vmStateBytes) / clusterBytes);
  const l1Index =
    Math.ceil(snapshot.diskSizeBytes / (l2Entries * clusterBytes)) +
    Math.floor(stateClusters / l2Entries);
  const table = Number(u64(bytes, snapshot.l1At + l1Index * 8) & OFFSET_MASK);
  const pointers = [layout, ...snapshots].reduce((sum, { l1At, l1Entries }) => {
    const entries = Array.from({ length: l1Entries }, (_, i) => u64(bytes, l1At + i * 8));
    return sum + entries.filter((entry) => Number(entry & OFFSET_MASK) === table).length;
  }, 0);
  for (let i = 0; i < clusters; i += 1) {
    const at = table + ((stateClusters % l2Entries) + i) * entryBytes;
    const cluster = firstNew + i;
    putU64(bytes, at, BigInt(cluster * clusterBytes));
    if (extendedL2) putU64(bytes, at + 8, 0xffff_ffffn);
    const block = blockAt(bytes, layout, cluster);
    const index = cluster % ((clusterBytes * 8) / refcountBits);
    putRefcountAt(bytes, block, refcountBits, index, BigInt(pointers));
  }
  return bytes;
}

/** The entry of a snapshot tells of so many bytes of VM state, whatever its tables map. */
export function withTold(image: Uint8Array, position: number, told: number): Uint8Array {
  const bytes = image.slice();
  const { at, extraBytes } = snapshotsOf(bytes).snapshots[position]!;
  putU32(bytes, at + 32, told);
  if (extraBytes >= 8) putU64(bytes, at + 40, BigInt(told));
  return bytes;
}
