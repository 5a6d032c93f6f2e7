import { HIGH_WORD } from '../base/words.js';
import type { OpenImage } from '../image/image.js';
import { readTable, walkStoredTables } from './tables.js';
import { offsetOf } from '../l1l2/entry.js';
import { maskOf, popcount } from '../refcount/bits.js';
import { BlockGroups } from '../refcount/block-groups.js';
import type { Counts } from '../refcount/counts.js';

/** An entry of the refcount table that is not 0. Spec: Refcount table entry. */
export interface RefcountTableEntry {
  readonly index: number;
  /** Where the entry itself lies, in bytes from the start of the file. */
  readonly at: number;
  readonly high: number;
  readonly low: number;
  /** Host offset of the block by the bits that an offset may have. */
  readonly offset: number;
  /** The same with all high bits, reserved as they are: what QEMU goes by. Above 2^53 it is rounded. */
  readonly claimed: number;
  /** Whether bits are set that no offset in a file has, or that are reserved. */
  readonly hasStrayBits: boolean;
  readonly isAligned: boolean;
}

/**
 * Reads the refcount table, entry by entry.
 *
 * @param take says where the block of an entry is to be read: its offset, or 0 for nowhere. May throw.
 * @returns host offsets of the blocks by their index; 0 where none is. As long as the table itself.
 */
export async function readRefcountTable(
  image: OpenImage,
  take: (entry: RefcountTableEntry) => number,
): Promise<Float64Array> {
  const { at, clusters } = image.header.refcountTable;
  const { clusterBytes } = image.geometry;
  const words = await readTable(image.source, at, (clusters * clusterBytes) / 8);
  const blocks = new Float64Array(words.length / 2);
  for (let index = 0; index < blocks.length; index++) {
    const high = words[2 * index]!;
    const low = words[2 * index + 1]!;
    if ((high | low) === 0) continue;
    const claimed = high * HIGH_WORD + ((low & ~0x1ff) >>> 0);
    blocks[index] = take({
      index,
      at: at + index * 8,
      high,
      low,
      offset: offsetOf(high, low),
      claimed,
      hasStrayBits: (high & 0xff00_0000) !== 0 || (low & 0x1ff) !== 0,
      isAligned: Number.isInteger(claimed / clusterBytes),
    });
  }
  return blocks;
}

/**
 * Hands refcount blocks to `visit` in order: the block's index, and its bytes as words, which are only
 * lent; undefined where there is no block, and all refcounts are 0.
 */
export async function visitRefcountBlocks(
  { source, geometry }: Pick<OpenImage, 'source' | 'geometry'>,
  blocks: Float64Array,
  [fromBlock, endBlock]: readonly [from: number, end: number],
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
  await walkStoredTables(source, offsets, geometry.clusterBytes, (index, words) => {
    visitAbsentBelow(present[index]!);
    visit(present[index]!, words);
    next = present[index]! + 1;
  });
  visitAbsentBelow(endBlock);
}

/** Clusters that are decoded together. */
const GROUP = 32;

/**
 * Hands all clusters of the file to `visit`, 32 at a time, by the refcounts of these blocks.
 *
 * @param visit gets the first cluster, which of the 32 lie in the file, and which of those the refcounts call used; a bit
 *   each.
 */
export async function visitUsedClusters(
  image: OpenImage,
  blocks: Float64Array,
  fileClusters: number,
  visit: (from: number, inside: number, used: number) => void,
): Promise<void> {
  const { refcountBlockEntries, refcountBits } = image.geometry;
  const groups = new BlockGroups(refcountBits);
  const endBlock = Math.ceil(fileClusters / refcountBlockEntries);
  await visitRefcountBlocks(image, blocks, [0, endBlock], (block, stored) => {
    const first = block * refcountBlockEntries;
    const blockEnd = Math.min(first + refcountBlockEntries, fileClusters);
    for (let from = first; from < blockEnd; from += GROUP) {
      groups.decode(stored, (from - first) / GROUP);
      const inside = maskOf(0, Math.min(GROUP, blockEnd - from));
      visit(from, inside, groups.used() & inside);
    }
  });
}

/** How many clusters from `first` on the refcounts of these blocks call used. Where there is no block, none is. */
export async function countUsedFrom(
  image: OpenImage,
  blocks: Float64Array,
  first: number,
): Promise<number> {
  const { refcountBlockEntries, refcountBits } = image.geometry;
  const groups = new BlockGroups(refcountBits);
  let used = 0;
  const firstBlock = Math.floor(first / refcountBlockEntries);
  await visitRefcountBlocks(image, blocks, [firstBlock, blocks.length], (block, stored) => {
    if (stored === undefined) return;
    const blockFrom = block * refcountBlockEntries;
    const start = Math.max(0, first - blockFrom);
    for (let group = Math.floor(start / GROUP); group < refcountBlockEntries / GROUP; group++) {
      groups.decode(stored, group);
      used += popcount(groups.used() & maskOf(Math.max(0, start - group * GROUP), GROUP));
    }
  });
  return used;
}

/** The offsets of the refcount blocks that entries of the table lead to which can be right; 0 for all others. */
export function readPlausibleBlocks(image: OpenImage): Promise<Float64Array> {
  return readRefcountTable(image, ({ offset, isAligned, hasStrayBits }) =>
    isAligned && !hasStrayBits && offset < image.fileSizeBytes ? offset : 0,
  );
}

/** Told how the refcounts of a block compare with the references that were counted. */
export interface BlockComparison {
  /**
   * 32 clusters from `from` on: which of them are compared, and which of these were counted otherwise than they are
   * stored. What is stored is in `groups`, until the next call.
   */
  group(from: number, inside: number, different: number, groups: BlockGroups): void;
  /** Up to `to` all were counted as they are stored, and alike, and not 0: there is no `group` of them. */
  alike?(to: number): void;
  end?(): void;
}

/**
 * Compares the references counted with the refcounts stored, block by block.
 *
 * @param endCluster where the clusters end that are compared.
 * @param compare is asked for each block, with the clusters of it that are compared; undefined where it is not
 *   to be compared.
 */
export async function compareRefcounts(
  image: Pick<OpenImage, 'source' | 'geometry'>,
  blocks: Float64Array,
  counts: Counts,
  endCluster: number,
  compare: (
    block: number,
    stored: Uint32Array | undefined,
    clusters: readonly [first: number, end: number],
  ) => BlockComparison | undefined,
): Promise<void> {
  const { refcountBlockEntries, refcountBits } = image.geometry;
  const groups = new BlockGroups(refcountBits);
  const endBlock = Math.ceil(endCluster / refcountBlockEntries);
  await visitRefcountBlocks(image, blocks, [0, endBlock], (block, stored) => {
    const first = block * refcountBlockEntries;
    const clusters = [first, Math.min(first + refcountBlockEntries, endCluster)] as const;
    const comparison = compare(block, stored, clusters);
    if (comparison === undefined) return;
    const group = (from: number, inside: number, different: number): void => {
      comparison.group(from, inside, different, groups);
    };
    groups.visit(stored, counts, clusters, group, comparison.alike?.bind(comparison));
    comparison.end?.();
  });
}
