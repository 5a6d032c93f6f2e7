import { isAligned } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import { readRefcountTable } from '../../refs/refcount-table.js';

/** The refcount table as far as it makes sense. */
export interface StoredRefcounts {
  /** Host offsets of the blocks by index; 0 where none is or none can be. */
  readonly blocks: Float64Array;
  /**
   * Where entries point that lead to no block, by index. Their clusters' refcounts are not known.
   */
  readonly lost: ReadonlyMap<number, number>;
  /** Whether an entry has bits set that mean nothing. */
  readonly hasStrayBits: boolean;
  /** Whether the table is no refcount table, so that a block which is not there may have been. */
  readonly isLost: boolean;
}

/** Reads the refcount table without judging the image by it. Spec: Refcount table entry. */
export async function readStoredRefcounts(image: OpenImage): Promise<StoredRefcounts> {
  const { clusterBytes } = image.geometry;
  const lost = new Map<number, number>();
  const seen = new Set<number>();
  let hasStrayBits = false;
  let [bad, used] = [0, 0];
  const blocks = await readRefcountTable(image, (entry) => {
    const { index, offset } = entry;
    hasStrayBits ||= entry.hasStrayBits;
    used += 1;
    if (offset === 0) {
      bad += 1;
      return 0;
    }
    const readable =
      isAligned(offset, clusterBytes) && offset + clusterBytes <= image.fileSizeBytes;
    if (entry.hasStrayBits || !readable) bad += 1;
    // Two entries with one block: its counts can be right for one of them at most.
    const isLost = !readable || seen.has(offset);
    if (isLost) lost.set(index, offset);
    seen.add(offset);
    return isLost ? 0 : offset;
  });
  // A table without an entry counts nothing, not even itself; and one flipped bit is no reason to give up all.
  const isLost = used === 0 || (bad > 1 && bad * 2 >= used);
  if (!isLost) return { blocks, lost, hasStrayBits, isLost };
  blocks.forEach((offset, i) => {
    if (offset !== 0) lost.set(i, offset);
  });
  return { blocks: blocks.fill(0), lost, hasStrayBits, isLost };
}

/**
 * The same without blocks that something else refers to, too, and that hold no refcounts.
 *
 * @param isJunk whether something else refers to a block, and it holds no refcounts.
 */
export function withoutJunkBlocks(
  stored: StoredRefcounts,
  isJunk: (block: number) => boolean,
): StoredRefcounts {
  const blocks = stored.blocks.slice();
  const lost = new Map(stored.lost);
  blocks.forEach((at, index) => {
    if (!isJunk(index)) return;
    lost.set(index, at);
    blocks[index] = 0;
  });
  return { ...stored, blocks, lost };
}
