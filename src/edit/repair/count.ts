import { swapWords } from '../../base/words.js';
import { refcountOverflow } from '../plan/ledger.js';
import { metadataRegions, regionClusters, type Region } from '../../refs/regions.js';
import { walkTables } from '../../refs/tables.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../../l1l2/entry.js';
import { nextBadBitmap, type Scan } from '../../l1l2/scan.js';
import type { Counts } from '../../refcount/counts.js';
import { TableCounter, type Flawed } from '../../refs/table-counter.js';
import { walkReferences } from '../../refs/walk.js';
import { mendDataFileTable } from './data-file-tables.js';
import { isChanged } from './mend-tables.js';
import type { MendedTree } from './tree.js';
import type { Unknowns } from './unknowns.js';

/** What counting all references of a mended tree gave. `counts` has the references themselves. */
export interface Counted {
  readonly counts: Counts;
  /** Indexes in the tally of L2 tables in which something is mended. */
  readonly mendedL2s: ReadonlySet<number>;
  /** By index in the tally: 1 where a table has an entry with the COPIED flag. */
  readonly hasCopied: Uint8Array;
  /** Regions that share a cluster with something else. */
  readonly shared: ReadonlySet<Region>;
  /** These, and regions that reach behind the end of the file. */
  readonly misplaced: ReadonlySet<Region>;
  readonly regions: readonly Region[];
  /** Clusters that uncounted entries of bitmap tables name. If their refcount is not 0, it stays. */
  readonly held: ReadonlySet<number>;
}

/**
 * Counts every reference of the image as a repair leaves it. Misplaced metadata is counted too, as far as it lies in
 * the file. If it is to move, the caller takes its references out again (`releaseMoved`).
 *
 * @param refcountBlocks of the blocks that can be read.
 * @throws QsnapError REFCOUNT_OVERFLOW where the width can't hold what the tables ask for.
 */
export async function countMended(
  tree: MendedTree,
  scan: Scan,
  refcountBlocks: Float64Array,
  counts: Counts,
  unknowns: Unknowns,
): Promise<Counted> {
  const image = { ...tree.image, snapshots: tree.kept };
  const regions = metadataRegions(image, refcountBlocks);
  const crowded = countRegions(regions, scan, counts, unknowns);
  await countStrayTables(tree, scan, counts);

  const { offsets, active, inactive } = tree.tally;
  const { clusterBytes } = image.geometry;
  const held = new Set<number>();
  const mendedL2s = new Set<number>();
  const hasCopied = new Uint8Array(offsets.length);
  const tables = new TableCounter(scan, counts);
  await walkReferences(image, tree.tally, {
    l2Table: (index, words) => {
      const at = offsets[index]!;
      const pointers = active[index]! + inactive[index]!;
      if (!counts.change(at / clusterBytes, pointers)) throw overflow(at, scan);
      let mended = false;
      if (image.header.externalDataFile) {
        swapWords(words);
        tables.lookAt(words);
        mended = mendDataFileTable(words, at, tree.mender, scan);
      } else mended = countTable(words, at, pointers, tree, scan, tables, counts, unknowns);
      hasCopied[index] = tables.runs.anyCopied ? 1 : 0;
      if (mended) mendedL2s.add(index);
    },
    bitmapEntry: (high, low) => {
      countBitmapCluster(high, low, scan, counts, unknowns, held);
    },
  });
  const shared = new Set(regions.filter((region) => isShared(region, scan, counts)));
  const misplaced = new Set([...crowded, ...shared]);
  return { counts, mendedL2s, hasCopied, shared, misplaced, regions, held };
}

/** Counts regions; those that reach behind the file or whose cluster is full are returned. */
function countRegions(
  regions: readonly Region[],
  scan: Scan,
  counts: Counts,
  unknowns: Unknowns,
): readonly Region[] {
  const { clusterBytes } = scan.format.geometry;
  return regions.filter((region) => {
    const [first, end] = regionClusters(region, clusterBytes);
    // Refcounts that do not lie in the file are made anew; all else keeps its place.
    if (region.owner === 'refcount-table' || region.owner === 'refcount-block') {
      unknowns.spare(region.at, region.bytes);
    } else unknowns.avoid(region.at, region.bytes);
    let fits = end <= scan.fileClusters;
    // What stays behind the end of the file is in the file once that has grown past it.
    for (let cluster = first; cluster < Math.min(end, counts.clusters); cluster++) {
      fits = counts.change(cluster, 1) && fits;
    }
    return !fits;
  });
}

function isShared(region: Region, scan: Scan, counts: Counts): boolean {
  const [first, end] = regionClusters(region, scan.format.geometry.clusterBytes);
  for (let cluster = first; cluster < Math.min(end, counts.clusters); cluster++) {
    if (counts.get(cluster) !== 1) return true;
  }
  return false;
}

/**
 * Counts the cluster that holds bits of a persistent bitmap. An entry that can't be right stays as it is; a check
 * counts none with stray bits, so the cluster of such a one is only held.
 */
function countBitmapCluster(
  high: number,
  low: number,
  scan: Scan,
  counts: Counts,
  unknowns: Unknowns,
  held: Set<number>,
): void {
  const { clusterBytes } = scan.format.geometry;
  const at = offsetOf(high, low);
  const cluster = at / clusterBytes;
  if (at === 0) return;
  const isWhole = Number.isInteger(cluster);
  if (!isWhole || cluster >= scan.fileClusters) unknowns.unreadable(at, clusterBytes);
  if (!isWhole || cluster >= counts.clusters) return;
  const hasStrayBits = (high & 0xff00_0000) !== 0 || (low & 0x1ff) !== 0;
  if (hasStrayBits) held.add(cluster);
  else if (!counts.change(cluster, 1)) throw overflow(at, scan);
}

/**
 * Counts the tables that unmended wrong L1 entries name, and everything that these tables refer to, so that none of
 * it becomes free. If the refcount width can't hold a count, the highest one stands for it.
 *
 * QEMU: block/qcow2-refcount.c, check_refcounts_l1: a misaligned table is followed, too.
 */
async function countStrayTables(
  { image, strayTables }: MendedTree,
  scan: Scan,
  counts: Counts,
): Promise<void> {
  const { clusterBytes } = image.geometry;
  const count = (stretch: Stretch, pointers: number): void => {
    for (const cluster of clustersOf(stretch, counts, clusterBytes)) {
      const room = counts.max - counts.get(cluster);
      counts.change(cluster, Math.min(pointers, room));
    }
  };
  for (const [at, pointers] of strayTables) count({ at, bytes: clusterBytes }, pointers);
  const end = scan.fileClusters * clusterBytes;
  const inFile = Float64Array.from(strayTables.keys()).filter((at) => at < end);
  await walkTables(image.source, inFile.sort(), clusterBytes, (table, words) => {
    const pointers = strayTables.get(inFile[table]!)!;
    for (let index = 0; index * scan.stride < words.length; index++) {
      count(targetOf(words, index, scan), pointers);
    }
  });
}

/** Mends an L2 table in place and counts what it then refers to. Returns whether it was mended. */
function countTable(
  stored: Uint32Array,
  at: number,
  pointers: number,
  tree: MendedTree,
  scan: Scan,
  tables: TableCounter,
  counts: Counts,
  unknowns: Unknowns,
): boolean {
  let mended = false;
  const flawed: Flawed = (index, words) => {
    const target = targetOf(words, index, scan);
    const mending = tree.mender.mendL2(words, index, at, scan);
    // It was the count that did not fit.
    if (mending === 'sound') throw overflow(target.at, scan);
    if (mending === 'zeroed') unknowns.addOwner();
    mended ||= isChanged(mending);
    if (isChanged(mending)) unknowns.spare(target.at, target.bytes);
    else countFlawed(words, index, pointers, scan, counts, unknowns);
    return isChanged(mending);
  };
  if (scan.stride === 2) {
    tables.count(stored, pointers, flawed);
    return mended;
  }
  swapWords(stored);
  for (let i = nextBadBitmap(stored, scan, 0); i >= 0; i = nextBadBitmap(stored, scan, i + 1)) {
    mended = isChanged(tree.mender.mendL2(stored, i, at, scan)) || mended;
  }
  tables.countInHostOrder(stored, pointers, flawed);
  return mended;
}

/** Counts an entry that keeps its flaw, in every cluster that its bytes touch. */
function countFlawed(
  words: Uint32Array,
  index: number,
  pointers: number,
  scan: Scan,
  counts: Counts,
  unknowns: Unknowns,
): void {
  const { clusterBytes } = scan.format.geometry;
  const target = targetOf(words, index, scan);
  const { at, bytes } = target;
  for (const cluster of clustersOf(target, counts, clusterBytes)) {
    if (!counts.change(cluster, pointers)) throw overflow(cluster * clusterBytes, scan);
  }
  const end = Math.floor((at + bytes - 1) / clusterBytes) + 1;
  const isStrayBitsAlone = at % clusterBytes === 0 && end <= scan.fileClusters;
  if (!isStrayBitsAlone) unknowns.unreadable(at, bytes);
}

/** Bytes of the file. */
interface Stretch {
  readonly at: number;
  readonly bytes: number;
}

/**
 * The clusters that a stretch touches, as far as `counts` reaches. It reaches behind the end of the file, so that
 * no new table goes to a cluster there that an entry names.
 */
function clustersOf({ at, bytes }: Stretch, counts: Counts, clusterBytes: number): number[] {
  const first = Math.floor(at / clusterBytes);
  const end = Math.min(Math.floor((at + bytes - 1) / clusterBytes) + 1, counts.clusters);
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}

/** The bytes that an entry names, none or some, whatever else is wrong with it. */
function targetOf(words: Uint32Array, index: number, scan: Scan): Stretch {
  const [high, low] = [words[index * scan.stride]!, words[index * scan.stride + 1]!];
  if ((high & COMPRESSED) === 0) {
    const at = offsetOf(high, low);
    return { at, bytes: at === 0 ? 0 : scan.format.geometry.clusterBytes };
  }
  const { at, sectorBytes } = compressedExtent(high, low, scan.clusterBits);
  return { at: Math.floor(at / 512) * 512, bytes: sectorBytes };
}

function overflow(at: number, scan: Scan): Error {
  return refcountOverflow(at, scan.format.geometry.refcountBits);
}
