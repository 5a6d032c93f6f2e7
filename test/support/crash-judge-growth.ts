/** Makes images in which a table has no room for more: the refcount table, the snapshot table. */
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { planCreate } from '../../src/edit/snapshot/create.js';
import { executePlan } from '../../src/edit/tx/execute.js';
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

/** An entry with 24 bytes of extra data, an id and a name of up to four characters each. */
const ENTRY_BYTES = 72;

/** The image with snapshots of short names and one longer one, until the table fills its cluster. */
export async function withFullSnapshotTable(
  bytes: Uint8Array,
  clusterBytes: number,
): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  const spareBytes = (): number =>
    clusterBytes - ((readPlain(device.snapshotBytes()).snapshotTableBytes + 7) & ~7);
  const padding = spareBytes() % ENTRY_BYTES;
  for (let number = 1; spareBytes() >= ENTRY_BYTES; number += 1) {
    const name = `s${number}${'-'.repeat(number === 1 ? padding : 0)}`;
    const date = { seconds: number, nanoseconds: 0 };
    await executePlan(await planCreate(await openImage(device), { name, date }));
  }
  return device.snapshotBytes();
}
