import { clustersToHold } from '../../base/units.js';
import { tableFormat } from '../../image/table-format.js';
import type { OpenImage } from '../../image/image.js';
import { COMPRESSED, compressedExtent, judgeL1Entry, offsetOf } from '../../l1l2/entry.js';
import type { PersistentBitmap } from '../../qcow2/bitmap-directory.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { plausibleMost } from '../../read/check/lost-blocks.js';
import { ownersBehind } from '../../refs/owners.js';
import type { Pointers } from '../../refs/pointers.js';
import { readRefcountTable } from '../../refs/refcount-table.js';
import { metadataRegions, regionClusters, type RegionOwner } from '../../refs/regions.js';
import { disksOf, walkL1Tables } from '../../refs/walk.js';
import { TABLE_KINDS, type TableKind, type TableLimits } from './looks-wrong.js';
import { TableExtents } from './table-extents.js';

/** An image by what its clusters hold. */
export interface ImageParts {
  readonly image: OpenImage;
  /** Clusters of guest data and VM states. */
  readonly data: ClusterSet;
  /** Clusters of the LUKS header: keys. */
  readonly keys: ClusterSet;
  /** Clusters of structures that hold names: the header, the snapshot table, the bitmap directory. */
  readonly named: ClusterSet;
  readonly tables: Readonly<Record<TableKind, TableExtents>>;
  readonly limits: TableLimits;
  /** Where compressed clusters begin, and the end of the sectors that they may touch. */
  readonly packed: ReadonlyMap<number, number>;
  /** L2 tables that do not begin where a cluster does. */
  readonly misalignedTables: number;
}

const KIND_OF: Partial<Readonly<Record<RegionOwner, TableKind>>> = {
  'refcount-table': 'refcount-table',
  'refcount-block': 'refcount-block',
  'active-l1': 'l1-table',
  'inactive-l1': 'l1-table',
  'bitmap-table': 'bitmap-table',
};

/**
 * Finds out what lies where, by the walk over all that refers to clusters.
 *
 * @throws QsnapError READ_FAILED, ABORTED, LIMIT_EXCEEDED.
 */
export async function findParts(image: OpenImage): Promise<ImageParts> {
  const format = tableFormat(image);
  const { fileClusters } = format;
  const { clusterBytes } = image.geometry;
  const sets = [0, 1, 2].map(() => new ClusterSet(fileClusters));
  const [data, keys, named] = sets as [ClusterSet, ClusterSet, ClusterSet];
  const entries = TABLE_KINDS.map((kind) => [kind, new TableExtents(fileClusters, clusterBytes)]);
  const tables = Object.fromEntries(entries) as Record<TableKind, TableExtents>;
  // A check follows a pointer that has stray bits, too.
  const blocks = await readRefcountTable(image, ({ offset }) =>
    offset % clusterBytes === 0 ? offset : 0,
  );
  for (const region of metadataRegions(image, blocks)) {
    const kind = KIND_OF[region.owner];
    if (kind !== undefined) {
      tables[kind].add(region.at, region.bytes);
      continue;
    }
    const [first, end] = regionClusters(region, clusterBytes);
    const set = region.owner === 'luks-header' ? keys : named;
    set.addRange(Math.min(first, fileClusters), Math.min(end, fileClusters));
  }
  const { pointers, misalignedTables } = await findL2Tables(image);
  for (const at of pointers.offsets) tables['l2-table'].add(at, clusterBytes);
  const packed = new Map<number, number>();
  const owners = await ownersBehind(image, pointers, {
    bitmapEntry: (high, low, at, bitmap) => {
      const bytes = bitmapBytes(image, (at - bitmap.table.at) / 8, bitmap);
      const offset = offsetOf(high, low);
      if (offset > 0 && offset % clusterBytes === 0 && bytes > 0) {
        tables['bitmap-data'].add(offset, bytes);
      }
    },
    oddTable: (_, words) => {
      notePacked(words, image, packed);
    },
  });
  for (const { first, length } of owners.ranges()) data.addRange(first, first + length);
  const limits = {
    format: { ...format, fileClusters: countableClusters(image, fileClusters) },
    refcountMost: plausibleMost(image, image.snapshots.length + 1),
  };
  return { image, data, keys, named, tables, limits, packed, misalignedTables };
}

/** Whether a cluster holds guest data or VM state, and nothing else. */
export function isDataAlone({ data, keys, named, tables }: ImageParts, cluster: number): boolean {
  if (!data.has(cluster) || keys.has(cluster) || named.has(cluster)) return false;
  return !TABLE_KINDS.some((kind) => tables[kind].has(cluster));
}

/** The L2 tables that lie in the file, where a table can. */
async function findL2Tables(
  image: OpenImage,
): Promise<{ readonly pointers: Pointers; readonly misalignedTables: number }> {
  const format = tableFormat(image);
  const misaligned = new Set<number>();
  const pointers = await walkL1Tables(image, disksOf(image), ({ number }, words, to) => {
    for (let i = 0; i < words.length; i += 2) {
      const [high, low] = [words[i]!, words[i + 1]!];
      const offset = offsetOf(high, low);
      if (offset === 0 || offset >= image.fileSizeBytes) continue;
      if (offset % image.geometry.clusterBytes === 0) to.add(number, offset);
      else if (judgeL1Entry(high, low, format) === 'misaligned') misaligned.add(offset);
    }
  });
  return { pointers, misalignedTables: misaligned.size };
}

/** How many bytes of a bitmap lie in one cluster of it. */
function bitmapBytes({ header }: OpenImage, index: number, bitmap: PersistentBitmap): number {
  const { clusterBytes } = header.geometry;
  const bits = Math.ceil(header.diskSizeBytes / bitmap.granularityBytes);
  const bytes = Math.ceil(bits / 8) - index * clusterBytes;
  return Math.max(0, Math.min(bytes, clusterBytes));
}

function notePacked(words: Uint32Array, image: OpenImage, packed: Map<number, number>): void {
  const { clusterBits, l2EntryBytes } = image.geometry;
  for (let i = 0; i < words.length; i += l2EntryBytes / 4) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) === 0) continue;
    const { at, sectorBytes } = compressedExtent(high, low, clusterBits);
    const end = Math.floor(at / 512) * 512 + sectorBytes;
    if (at < image.fileSizeBytes) packed.set(at, Math.max(end, packed.get(at) ?? 0));
  }
}

/** How many clusters the refcount table could count, and no fewer than the file has. A data file is not counted by it. */
function countableClusters({ header, geometry }: OpenImage, fileClusters: number): number {
  if (header.externalDataFile) return clustersToHold(2 ** 56, geometry.clusterBytes);
  const tableEntries = (header.refcountTable.clusters * geometry.clusterBytes) / 8;
  const clusters = tableEntries * geometry.refcountBlockEntries;
  const most = clustersToHold(2 ** 56, geometry.clusterBytes);
  return Math.min(Math.max(clusters, fileClusters), most);
}
