import { HIGH_WORD } from '../base/words.js';
import type { Image } from '../image/image.js';
import { readTable, walkStoredTables } from '../image/walk.js';
import type { FindingCollector, Found } from './collector.js';
import { factsOf } from './judge-entry.js';
import type { ReferenceCounter } from './reference-counter.js';

/** The refcount table as it is stored, sound or not. */
export interface StoredRefcountTable {
  readonly at: number;
  /** By index: host offset of the block, 0 for none. It need not be where a block can be. */
  readonly blocks: Float64Array;
  /** By index: where blocks are said to lie that QEMU can't read, off a cluster's start. */
  readonly unreadable: ReadonlyMap<number, number>;
  /** Whether there is any entry, and all lead to a block of their own. */
  readonly isSound: boolean;
  /** By cluster, once they were compared: refcounts above REFCOUNT_CAP, in decimal, and not all. */
  readonly aboveCap: Map<number, string>;
}

/**
 * Reads the refcount table, judges its entries and counts the blocks that they point at.
 *
 * QEMU: block/qcow2-refcount.c, check_refblocks. Spec: Refcount table entry.
 */
export async function checkRefcountTable(
  image: Image,
  fileClusters: number,
  counter: ReferenceCounter,
  collector: FindingCollector,
): Promise<StoredRefcountTable> {
  const { at, clusters } = image.header.refcountTable;
  const { clusterBytes } = image.geometry;
  const words = await readTable(image.source, at, (clusters * clusterBytes) / 8);
  const blocks = new Float64Array(words.length / 2);
  const unreadable = new Map<number, number>();
  const seen = new Set<number>();
  let [used, sound] = [0, 0];
  for (let i = 0; i < blocks.length; i++) {
    const high = words[2 * i]!;
    const low = words[2 * i + 1]!;
    if ((high | low) === 0) continue;
    // QEMU: the high bits, reserved as they are, count as part of the offset.
    const offset = high * HIGH_WORD + ((low & ~0x1ff) >>> 0);
    const where = (): Found => {
      const facts = { ...factsOf(high, low), index: i };
      return { structure: 'refcount-table', at: at + i * 8, facts };
    };
    const cluster = offset / clusterBytes;
    if (!Number.isInteger(cluster) || high >= 0x8000_0000) unreadable.set(i, offset);
    // A block behind the end of the file reads as zeros, as one that is not there.
    else if (cluster < fileClusters) blocks[i] = offset;
    used += 1;
    if ((low & 0x1ff) !== 0) {
      collector.add('REFCOUNT_TABLE_ENTRY_RESERVED_BITS', where());
    } else if (!Number.isInteger(cluster)) {
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
  }
  return { at, blocks, unreadable, isSound: used > 0 && sound === used, aboveCap: new Map() };
}

/**
 * Hands refcount blocks to `visit` in order: the block's index, and its bytes as words, which are only
 * lent; undefined where the table has no block, and all refcounts are 0.
 */
export async function visitStoredRefcounts(
  image: Image,
  { blocks }: StoredRefcountTable,
  fromBlock: number,
  endBlock: number,
  visit: (block: number, stored: Uint32Array | undefined) => void,
): Promise<void> {
  const present: number[] = [];
  for (let block = fromBlock; block < endBlock; block++) {
    if ((blocks[block] ?? 0) !== 0) present.push(block);
  }
  let next = fromBlock;
  const visitAbsentBelow = (block: number): void => {
    for (; next < block; next++) visit(next, undefined);
  };
  const offsets = Float64Array.from(present, (block) => blocks[block]!);
  await walkStoredTables(image.source, offsets, image.geometry.clusterBytes, (index, words) => {
    visitAbsentBelow(present[index]!);
    visit(present[index]!, words);
    next = present[index]! + 1;
  });
  visitAbsentBelow(endBlock);
}
