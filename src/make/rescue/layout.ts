import { clustersToHold } from '../../base/units.js';
import { HIGH_WORD } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { walkTables } from '../../refs/tables.js';
import { COPIED } from '../../l1l2/entry.js';
import { addReferences, NO_PROBLEM } from '../../l1l2/scan.js';
import { indexOfOffset } from '../../refs/pointers.js';
import { geometryOf, type Geometry } from '../../qcow2/geometry.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import { TableCopier } from './copy-table.js';
import type { RescuedDisk, RescuePlan } from './rescue-plan.js';
import { luksRegions } from './luks-region.js';

/** A stretch of the new file. */
export interface Place {
  readonly at: number;
  readonly bytes: number;
}

/**
 * The file that a rescue writes. Guest data keeps its offsets, and all tables go behind it, so that no table can lie
 * over guest data or another table.
 */
export interface CopyLayout {
  readonly plan: RescuePlan;
  readonly disks: readonly RescuedDisk[];
  readonly version: 2 | 3;
  readonly geometry: Geometry;
  readonly copier: TableCopier;
  /** Host offsets of the L2 tables in the damaged file, ascending, and where each goes. */
  readonly tables: Float64Array;
  readonly newTables: Float64Array;
  /** L1 entries that lead to each, and whether one of them is the active disk's. */
  readonly pointers: Uint32Array;
  readonly isActive: Uint8Array;
  /** Where tables of zeros go, for what is lost above a backing file. */
  readonly zeroTablesAt: number;
  readonly zeroTables: number;
  /** By disk. */
  readonly l1s: readonly Place[];
  readonly snapshotTable: Place;
  readonly refcountTable: Place;
  /** Refcount blocks by index; 0 where none is needed. */
  readonly refcountBlocks: Float64Array;
  /** The refcounts of the copy. */
  readonly counts: Counts;
  /** Clusters of guest data end here. */
  readonly dataClusters: number;
  readonly endCluster: number;
}

/**
 * Counts what the chosen disks refer to, and places their tables.
 *
 * @param snapshotTableBytes of the table to be.
 * @throws QsnapError REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, READ_FAILED.
 */
export async function layOut(
  plan: RescuePlan,
  disks: readonly RescuedDisk[],
  snapshotTableBytes: number,
): Promise<CopyLayout> {
  const { evidence } = plan;
  const { format, head } = evidence;
  const { clusterBytes } = format.geometry;
  const hasBacking = head.backingNameBytes !== undefined;
  // Without a zero flag a backing file would show where something is lost.
  const anyLost = disks.some(({ lostBytes, tablesLost }) => lostBytes + tablesLost > 0);
  const version = hasBacking && anyLost ? 3 : format.version;
  const copier = new TableCopier(evidence, plan.metadata, version, plan.givenUp);
  const { tables, pointers, isActive } = tablesOf(disks);
  const zeroTables = hasBacking ? disks.reduce((sum, { tablesLost }) => sum + tablesLost, 0) : 0;
  const l1Clusters = disks.map(({ root }) => clustersToHold(root.tables.length * 8, clusterBytes));
  const fixed =
    tables.length +
    zeroTables +
    l1Clusters.reduce((sum, clusters) => sum + clusters, 0) +
    clustersToHold(snapshotTableBytes, clusterBytes);
  // Of a region that the end of the file cuts the copy has all, and zeros where the rest was.
  const kept = luksRegions(head);
  const spare = kept.map(({ at, bytes }) => clustersToHold(at + bytes, clusterBytes));
  const oldClusters = Math.max(format.fileClusters, ...spare);
  const roomy = withRefcounts(oldClusters + fixed, format.geometry);
  const counts = newCounts(roomy, format.geometry, REFCOUNT_CAP);
  counts.change(0, 1);
  for (const { at, bytes } of kept) {
    counts.changeRun(at / clusterBytes, clustersToHold(bytes, clusterBytes), 1);
  }
  await countTables(plan, tables, pointers, copier, counts);
  const dataClusters = endOfCounts(counts, oldClusters);

  let next = dataClusters;
  const take = (clusters: number, references: (i: number) => number): number => {
    const at = next * clusterBytes;
    for (let i = 0; i < clusters; i++) counts.change(next + i, references(i));
    next += clusters;
    return clusters === 0 ? 0 : at;
  };
  const once = (): number => 1;
  const firstTable = take(tables.length, (i) => pointers[i]!);
  const newTables = tables.map((_, i) => firstTable + i * clusterBytes);
  const zeroTablesAt = take(zeroTables, once);
  const l1s = l1Clusters.map((clusters, i) => ({
    at: take(clusters, once),
    bytes: disks[i]!.root.tables.length * 8,
  }));
  const snapshotTable = {
    at: take(clustersToHold(snapshotTableBytes, clusterBytes), once),
    bytes: snapshotTableBytes,
  };
  const geometry = geometryFor(counts, format.geometry, version);
  const refcounts = placeRefcounts(counts, next, geometry);
  return {
    ...{ plan, disks, version, geometry, copier, tables, newTables, pointers, isActive, counts },
    ...{ zeroTablesAt, zeroTables, l1s, snapshotTable, dataClusters, ...refcounts },
  };
}

function tablesOf(
  disks: readonly RescuedDisk[],
): Pick<CopyLayout, 'tables' | 'pointers' | 'isActive'> {
  const counts = new Map<number, number>();
  for (const { root } of disks) {
    for (const at of root.tables) if (at > 0) counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  const tables = Float64Array.from(counts.keys()).sort();
  const isActive = new Uint8Array(tables.length);
  for (const { root } of disks.filter(({ kind }) => kind === 'active')) {
    for (const at of root.tables) if (at > 0) isActive[indexOfOffset(tables, at)] = 1;
  }
  return { tables, isActive, pointers: Uint32Array.from(tables, (at) => counts.get(at)!) };
}

async function countTables(
  plan: RescuePlan,
  tables: Float64Array,
  pointers: Uint32Array,
  copier: TableCopier,
  counts: Counts,
): Promise<void> {
  const { source, scan, format } = plan.evidence;
  await walkTables(source, tables, format.geometry.clusterBytes, (index, words) => {
    const at = tables[index]!;
    copier.mend(words, at, plan.mended.get(at), () => undefined);
    const stop = addReferences(words, scanOfCopy(scan, copier.version), pointers[index]!, counts);
    if (stop !== NO_PROBLEM) throw tooManyReferences();
  });
}

/** The copy's entries may have a zero flag where those of the damaged image have none. */
function scanOfCopy(scan: RescuePlan['evidence']['scan'], version: 2 | 3): typeof scan {
  if (version === scan.format.version || scan.stride === 4) return scan;
  return { ...scan, lowMustBeClear: scan.lowMustBeClear & ~1 };
}

/** Clusters with room for the refcounts of all of them. */
function withRefcounts(clusters: number, { clusterBytes }: Geometry): number {
  // The widest refcounts take 8 bytes each.
  const blocks = clustersToHold((clusters + 2) * 8, clusterBytes) * 2;
  return clusters + blocks + clustersToHold(blocks * 8, clusterBytes) + 2;
}

function endOfCounts(counts: Counts, clusters: number): number {
  let end = clusters;
  while (end > 0 && counts.get(end - 1) === 0) end -= 1;
  return end;
}

/** The image's own width of refcounts, or the next that holds the highest count. */
function geometryFor(counts: Counts, geometry: Geometry, version: 2 | 3): Geometry {
  const { clusterBits, l2EntryBytes } = geometry;
  const bitsNeeded = counts.planes.length;
  if (bitsNeeded <= geometry.refcountBits) return geometry;
  if (version === 2) throw tooManyReferences();
  const order = Math.ceil(Math.log2(bitsNeeded));
  return geometryOf(clusterBits, order, l2EntryBytes === 16);
}

/** The table and the blocks count themselves: repeated until they fit. */
function placeRefcounts(
  counts: Counts,
  first: number,
  { clusterBytes, refcountBlockEntries }: Geometry,
): Pick<CopyLayout, 'refcountTable' | 'refcountBlocks' | 'endCluster'> {
  const inUse = (end: number): number[] => {
    const blocks: number[] = [];
    for (let block = 0; block * refcountBlockEntries < end; block++) {
      if (block * refcountBlockEntries >= first) blocks.push(block);
      else if (anyIn(counts, block * refcountBlockEntries, refcountBlockEntries))
        blocks.push(block);
    }
    return blocks;
  };
  for (let end = first, before = -1; ;) {
    const blocks = inUse(end);
    const tableClusters = clustersToHold(Math.ceil(end / refcountBlockEntries) * 8, clusterBytes);
    const needed = first + tableClusters + blocks.length;
    if (needed === before || needed <= end) {
      for (let cluster = first; cluster < needed; cluster++) counts.change(cluster, 1);
      const refcountBlocks = new Float64Array((tableClusters * clusterBytes) / 8);
      blocks.forEach((block, i) => {
        refcountBlocks[block] = (first + tableClusters + i) * clusterBytes;
      });
      const refcountTable = { at: first * clusterBytes, bytes: tableClusters * clusterBytes };
      return { refcountTable, refcountBlocks, endCluster: needed };
    }
    before = needed;
    end = needed;
  }
}

function anyIn(counts: Counts, first: number, clusters: number): boolean {
  const end = Math.min(first + clusters, counts.clusters);
  for (let word = first >>> 5; word * 32 < end; word++) if (counts.usedAt(word) !== 0) return true;
  return false;
}

/** Host-order words of the L1 table of a disk. */
export function l1WordsOf(layout: CopyLayout, disk: number): Uint32Array {
  const { tables, newTables, pointers, zeroTablesAt, zeroTables, geometry, disks } = layout;
  const { root } = disks[disk]!;
  const words = new Uint32Array(root.tables.length * 2);
  let zero = 0;
  for (let i = 0; i < disk; i++) zero += disks[i]!.tablesLost;
  root.tables.forEach((stored, i) => {
    const isLost = stored < 0;
    if (stored === 0 || (isLost && zeroTables === 0)) return;
    const index = isLost ? -1 : indexOfOffset(tables, stored);
    const at = isLost ? zeroTablesAt + zero++ * geometry.clusterBytes : newTables[index]!;
    const isOnly = isLost || pointers[index] === 1;
    const flag = root.kind === 'active' && isOnly ? COPIED : 0;
    words[2 * i] = (Math.floor(at / HIGH_WORD) | flag) >>> 0;
    words[2 * i + 1] = at % HIGH_WORD;
  });
  return words;
}

function tooManyReferences(): QsnapError {
  const message = 'a cluster is referred to more often than a refcount of the copy can hold';
  return new QsnapError('REFCOUNT_OVERFLOW', message, {
    structure: 'refcount block',
    hint: 'leave out some of the disks',
  });
}
