import { bytesOf } from '../../base/words.js';
import type { Image, OpenImage } from '../../image/image.js';
import { walkStoredTables } from '../../refs/tables.js';
import { decodeRefcounts } from '../../refcount/block.js';
import type { Counts } from '../../refcount/counts.js';
import { DOUBTED_EXCESS } from './excess.js';

/** Refcounts are written, and lost, by sectors. */
const SECTOR_BYTES = 512;
/** If more than this share of the used clusters of a sector have impossible refcounts, the sector is lost. */
const WRONG_SHARE = 1 / 8;

/**
 * The highest refcount that all disks together could ask for. A host cluster may hold parts of several compressed
 * clusters, each of at least a byte of a sector of its own.
 */
export function plausibleMost({ geometry }: Image, disks: number): number {
  return disks * (geometry.clusterBytes / SECTOR_BYTES) + DOUBTED_EXCESS;
}

/**
 * Tells which refcount blocks no longer hold refcounts. The sign is a sector in which the refcounts of referenced
 * clusters are too low, or higher than all disks together could ask for. A lost table can't be the cause: it
 * leaves refcounts too high, but never higher than all disks could ask for. If most blocks are lost, all count as
 * lost: then the refcount width is wrong, or the refcount table.
 *
 * @param counts the references of the image.
 * @param blocks host offsets of the blocks by index, 0 for none.
 * @param disks the active disk and all snapshots.
 */
export async function lostBlocks(
  image: OpenImage,
  counts: Counts,
  blocks: Float64Array,
  disks: number,
): Promise<(block: number) => boolean> {
  const { source, geometry, fileSizeBytes } = image;
  const { clusterBytes, refcountBits, refcountBlockEntries } = geometry;
  const present: number[] = [];
  blocks.forEach((at, block) => {
    if (at !== 0 && counts.touched[block] === 1) present.push(block);
  });
  const lost = new Set<number>();
  const stored = new Uint32Array(refcountBlockEntries);
  const inSector = (SECTOR_BYTES * 8) / refcountBits;
  const most = plausibleMost(image, disks);
  // What is named behind the end of the file never had a refcount, or it is the name that is wrong.
  const clusters = Math.min(counts.clusters, Math.ceil(fileSizeBytes / clusterBytes));
  const offsets = Float64Array.from(present, (block) => blocks[block]!);
  await walkStoredTables(source, offsets, clusterBytes, (index, words) => {
    const block = present[index]!;
    decodeRefcounts(bytesOf(words), refcountBits, stored);
    for (let from = 0; from < refcountBlockEntries; from += inSector) {
      const sector = stored.subarray(from, from + inSector);
      const first = block * refcountBlockEntries + from;
      if (isLost(sector.subarray(0, Math.max(0, clusters - first)), counts, first, most)) {
        lost.add(block);
      }
    }
  });
  const areAllLost = lost.size * 2 > present.length;
  return (block) => areAllLost || lost.has(block);
}

/** Tells which refcount blocks hold no refcounts, among those whose cluster something else refers to, too. */
export async function sharedJunkBlocks(
  image: OpenImage,
  counts: Counts,
  blocks: Float64Array,
  disks: number,
): Promise<(block: number) => boolean> {
  const { clusterBytes } = image.geometry;
  const isShared = (at: number): boolean => at !== 0 && counts.get(at / clusterBytes) !== 1;
  if (!blocks.some(isShared)) return () => false;
  const isJunk = await lostBlocks(image, counts, blocks, disks);
  // A block without a referenced cluster is of no use to anybody.
  return (block) => isShared(blocks[block]!) && (counts.touched[block] !== 1 || isJunk(block));
}

/** Whether the refcounts of a sector are lost. The first of them belongs to cluster `first`. */
function isLost(stored: Uint32Array, counts: Counts, first: number, most: number): boolean {
  let [used, wrong, nonZero] = [0, 0, 0];
  for (let i = 0; i < stored.length; i++) {
    const references = counts.get(first + i);
    const is = stored[i]!;
    if (is !== 0) nonZero += 1;
    if (references === 0) continue;
    used += 1;
    if (is < references || is > most) wrong += 1;
  }
  if (used > 0 && nonZero === 0) return true;
  // A single one may be a flipped bit, or an edit that was broken off.
  return wrong > 1 && wrong > used * WRONG_SHARE;
}
