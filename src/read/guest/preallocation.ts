import { MiB } from '../../base/units.js';
import { isQsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { readSoundRefcountTable } from '../../refs/sound-refcounts.js';

const BATCH_BYTES = 4 * MiB;

/**
 * Whether clusters of an image were mapped ahead of time and never written. The sign: clearly more clusters are in
 * use than the file takes room on the medium, so the file has holes below mapped clusters. False for a source that
 * can't tell how much room it takes.
 *
 * QEMU: block/qcow2-refcount.c, qcow2_detect_metadata_preallocation.
 */
export async function isPreallocated(image: OpenImage): Promise<boolean> {
  const { source, geometry, fileSizeBytes } = image;
  const allocated = await source.allocatedBytes?.();
  if (allocated === undefined) return false;
  const fileClusters = Math.ceil(fileSizeBytes / geometry.clusterBytes);
  const onMedium = Math.floor(allocated / geometry.clusterBytes);
  const threshold = Math.max(Math.floor((onMedium * 10) / 9), onMedium + 2);
  if (fileClusters < threshold) return false;
  try {
    return await countsReach(image, fileClusters, threshold);
  } catch (error) {
    // Guest data can be read without refcounts; they are no reason not to.
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return false;
  }
}

async function countsReach(
  image: OpenImage,
  fileClusters: number,
  threshold: number,
): Promise<boolean> {
  const { clusterBytes, refcountBits, refcountBlockEntries } = image.geometry;
  const offsets = await readSoundRefcountTable(image);
  const blocks = Math.min(offsets.length, Math.ceil(fileClusters / refcountBlockEntries));
  const perBatch = Math.max(1, BATCH_BYTES / clusterBytes);
  let used = 0;
  for (let first = 0; first < blocks && used < threshold; first += perBatch) {
    const batch = [...offsets.subarray(first, Math.min(first + perBatch, blocks))];
    const present = batch.filter((at) => at !== 0);
    const bytes = new Uint8Array(present.length * clusterBytes);
    const requests = present.map((at, i) => ({
      at,
      into: bytes.subarray(i * clusterBytes, (i + 1) * clusterBytes),
    }));
    await image.source.readBatch(requests);
    used += countUsed(bytes, refcountBits);
  }
  return used >= threshold;
}

/** How many entries of refcount blocks are not 0. */
function countUsed(bytes: Uint8Array, refcountBits: number): number {
  let used = 0;
  if (refcountBits >= 8) {
    const entryBytes = refcountBits / 8;
    for (let i = 0; i < bytes.length; i += entryBytes) {
      let any = 0;
      for (let j = i; j < i + entryBytes; j++) any |= bytes[j]!;
      if (any !== 0) used += 1;
    }
    return used;
  }
  const mask = 2 ** refcountBits - 1;
  for (const byte of bytes) {
    if (byte === 0) continue;
    for (let shift = 0; shift < 8; shift += refcountBits) {
      if (((byte >>> shift) & mask) !== 0) used += 1;
    }
  }
  return used;
}
