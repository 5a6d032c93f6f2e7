/** Makes images in which the refcount table has no room for another block. */
import { readPlain } from './crash-judge-image.js';

/**
 * The image with its file made as long as its refcount table can count, and every cluster that was
 * not in use leaked: an edit has to go past the end, where only a longer table can count.
 *
 * @param bytes an image with refcounts of 64 bits.
 */
export function withFullRefcountTable(bytes: Uint8Array): Uint8Array {
  const { clusterBytes, refcountBits, refcountTableAt, refcountTableClusters } = readPlain(bytes);
  if (refcountBits !== 64) throw new Error('made for refcounts of 64 bits');
  const perBlock = clusterBytes / 8;
  const blocks = (refcountTableClusters * clusterBytes) / 8;
  const full = new Uint8Array(blocks * perBlock * clusterBytes);
  full.set(bytes);
  const view = new DataView(full.buffer);
  // Blocks that are missing lie in the first cluster that they count, past the end so far.
  const usedBlocks = Math.ceil(bytes.length / clusterBytes / perBlock);
  for (let block = 0; block < blocks; block++) {
    const entryAt = refcountTableAt + block * 8;
    if (view.getBigUint64(entryAt) === 0n) {
      if (block < usedBlocks) throw new Error('made for images without gaps in the table');
      view.setBigUint64(entryAt, BigInt(block * perBlock * clusterBytes));
    }
    const blockAt = Number(view.getBigUint64(entryAt));
    for (let i = 0; i < perBlock; i++) {
      if (view.getBigUint64(blockAt + i * 8) === 0n) view.setBigUint64(blockAt + i * 8, 1n);
    }
  }
  return full;
}
