import type { OpenImage } from '../../image/image.js';
import { readRefcountTable } from '../../refs/refcount-table.js';
import type { FindingCollector, Found } from './collector.js';
import { factsOf } from './judge-entry.js';
import type { ReferenceCounter } from './reference-counter.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/**
 * Reads the refcount table, judges its entries and counts the blocks that they point at.
 *
 * QEMU: block/qcow2-refcount.c, check_refblocks. Spec: Refcount table entry.
 */
export async function checkRefcountTable(
  image: OpenImage,
  fileClusters: number,
  counter: ReferenceCounter,
  collector: FindingCollector,
): Promise<StoredRefcountTable> {
  const { clusterBytes } = image.geometry;
  const unreadable = new Map<number, number>();
  const seen = new Set<number>();
  let [used, sound] = [0, 0];
  const blocks = await readRefcountTable(image, (entry) => {
    const { index, high, low, isAligned } = entry;
    const offset = entry.claimed;
    const where = (): Found => {
      const facts = { ...factsOf(high, low), index };
      return { structure: 'refcount-table', at: entry.at, facts };
    };
    const cluster = offset / clusterBytes;
    // A block behind the end of the file reads as zeros, as one that is not there.
    const isReadable = isAligned && high < 0x8000_0000;
    if (!isReadable) unreadable.set(index, offset);
    used += 1;
    if ((low & 0x1ff) !== 0) {
      collector.add('REFCOUNT_TABLE_ENTRY_RESERVED_BITS', where());
    } else if (!isAligned) {
      collector.add('REFCOUNT_BLOCK_MISALIGNED', where());
    } else if (cluster >= fileClusters) {
      collector.add('REFCOUNT_BLOCK_PAST_END', where());
    } else if (offset !== 0) {
      counter.count(offset, clusterBytes, 1, 'REFCOUNT_BLOCK_PAST_END', where);
      const found = counter.counts.get(cluster);
      if (found !== 1) collector.add('REFCOUNT_BLOCK_SHARED', { ...where(), cluster, found });
      // The same block twice; what else may lie there is looked at with all other metadata.
      if (!seen.has(offset)) sound += 1;
      seen.add(offset);
    }
    return isReadable && cluster < fileClusters ? offset : 0;
  });
  const { at } = image.header.refcountTable;
  return { at, blocks, unreadable, isSound: used > 0 && sound === used, aboveCap: new Map() };
}
