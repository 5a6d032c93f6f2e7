import { GiB, KiB } from '../../base/units.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import type { CreateImageOptions } from './create-options.js';
import { QemuPlacement } from './qemu-placement.js';

/** Guest clusters in a row that have host clusters in a row. All in clusters. */
export interface DataRun {
  readonly guest: number;
  readonly host: number;
  readonly clusters: number;
}

/** Where everything in an empty image lies. */
export interface EmptyImage {
  readonly placement: QemuPlacement;
  /** 0 for a disk without any bytes. */
  readonly l1Cluster: number;
  readonly l1Entries: number;
  /** By L1 index; empty without preallocation. */
  readonly l2Clusters: readonly number[];
  /** Ascending by guest cluster; none reaches over the end of an L2 table. */
  readonly runs: readonly DataRun[];
  /** Whether the runs lie in this file, and not in an external data file. */
  readonly hasOwnData: boolean;
  /** First of the clusters for the keys of an encrypted image; 0: there are none. */
  readonly keysCluster: number;
  /** The file is at least as long; 0: as long as what is written to it. */
  readonly endBytes: number;
  /** Whether a cluster of this file belongs to a run. */
  isData(cluster: number): boolean;
}

/** QEMU: how much of an L2 table it works with at a time. */
const L2_SLICE_BYTES = 64 * KiB;
/** QEMU: the longest request, and so the most that is allocated at a time. */
const REQUEST_BYTES = 2 * GiB - 512;

/**
 * Places what an empty image consists of, in the order in which QEMU does.
 *
 * @throws QsnapError LIMIT_EXCEEDED.
 */
export function placeEmptyImage(geometry: Geometry, options: CreateImageOptions): EmptyImage {
  const image = placeDisk(geometry, options);
  const keyBytes = options.encryption?.keys?.length ?? 0;
  if (keyBytes === 0) return { ...image, keysCluster: 0 };
  return {
    ...image,
    keysCluster: image.placement.take(Math.ceil(keyBytes / geometry.clusterBytes)),
  };
}

function placeDisk(
  geometry: Geometry,
  options: CreateImageOptions,
): Omit<EmptyImage, 'keysCluster'> {
  const { diskSizeBytes, dataFile } = options;
  const placement = new QemuPlacement(geometry);
  const l1Entries = l1EntriesFor(diskSizeBytes, geometry);
  const l1Clusters = Math.ceil((l1Entries * 8) / geometry.clusterBytes);
  const l1Cluster = l1Clusters === 0 ? 0 : placement.take(l1Clusters);
  const empty = { placement, l1Cluster, l1Entries, l2Clusters: [], runs: [] };
  // A raw data file is a raw disk only if every guest cluster has its place in it.
  const preallocation =
    dataFile?.raw === true && (options.preallocation ?? 'off') === 'off'
      ? 'metadata'
      : (options.preallocation ?? 'off');
  const hasOwnData = dataFile === undefined;
  const image = { ...empty, hasOwnData, endBytes: 0, isData: () => false };
  if (preallocation === 'off') return image;
  if (!hasOwnData) return { ...image, ...placeTables(placement, geometry, diskSizeBytes) };
  const placed =
    preallocation === 'metadata'
      ? placeClusters(placement, geometry, diskSizeBytes)
      : placeAhead(placement, geometry, diskSizeBytes);
  const isData = (cluster: number): boolean =>
    placed.runs.some(({ host, clusters }) => cluster >= host && cluster < host + clusters);
  return { ...image, ...placed, isData };
}

type Placed = Pick<EmptyImage, 'l2Clusters' | 'runs' | 'endBytes'>;

/** The guest's clusters cut at the borders of L2 tables. */
function* stretches(geometry: Geometry, diskSizeBytes: number): Generator<[number, number]> {
  const clusters = Math.ceil(diskSizeBytes / geometry.clusterBytes);
  for (let first = 0; first < clusters; first += geometry.l2Entries) {
    yield [first, Math.min(geometry.l2Entries, clusters - first)];
  }
}

/** Guest data lies in another file, at the same place as on the disk. */
function placeTables(placement: QemuPlacement, geometry: Geometry, diskSizeBytes: number): Placed {
  const l2Clusters: number[] = [];
  const runs: DataRun[] = [];
  for (const [guest, clusters] of stretches(geometry, diskSizeBytes)) {
    l2Clusters.push(placement.take(1));
    runs.push({ guest, host: guest, clusters });
  }
  return { l2Clusters, runs, endBytes: 0 };
}

/** L2 tables and guest clusters by turns, as if the whole disk were written from its beginning. */
function placeClusters(
  placement: QemuPlacement,
  geometry: Geometry,
  diskSizeBytes: number,
): Placed {
  const { clusterBytes, l2Entries, l2EntryBytes } = geometry;
  const sliceEntries = Math.min(clusterBytes, L2_SLICE_BYTES) / l2EntryBytes;
  const all = Math.ceil(diskSizeBytes / clusterBytes);
  const requestClusters = Math.floor((2 ** 31 - 1) / clusterBytes);
  const sliceClusters = Math.floor(REQUEST_BYTES / clusterBytes);
  const l2Clusters: number[] = [];
  const runs: DataRun[] = [];
  let endBytes = 0;
  for (let guest = 0; guest < all;) {
    const requestEnd = Math.min(all, guest + requestClusters);
    let host: number | undefined;
    while (guest < requestEnd) {
      const l1Index = Math.floor(guest / l2Entries);
      l2Clusters[l1Index] ??= placement.take(1);
      const inSlice = sliceEntries - (guest % sliceEntries);
      const wanted = Math.min(requestEnd - guest, inSlice, sliceClusters);
      const at: number = host === undefined ? placement.take(wanted) : host;
      const taken = host === undefined ? wanted : placement.takeAt(host, wanted);
      if (taken === 0) break;
      runs.push({ guest, host: at, clusters: taken });
      guest += taken;
      host = at + taken;
      if (taken < wanted) break;
    }
    endBytes = (host ?? 0) * clusterBytes;
  }
  return { l2Clusters, runs, endBytes };
}

/** Refcounts for all first, then the guest's clusters in a row, then L2 tables where there is room. */
function placeAhead(placement: QemuPlacement, geometry: Geometry, diskSizeBytes: number): Placed {
  const { clusterBytes, l2Entries } = geometry;
  const clusters = Math.ceil(diskSizeBytes / clusterBytes);
  const tables = Math.ceil(clusters / l2Entries);
  const first = placement.takeRefcountArea(placement.end, clusters + tables);
  placement.takeAt(first, clusters);
  const l2Clusters: number[] = [];
  const runs: DataRun[] = [];
  for (const [guest, length] of stretches(geometry, diskSizeBytes)) {
    l2Clusters.push(placement.take(1));
    runs.push({ guest, host: first + guest, clusters: length });
  }
  return { l2Clusters, runs, endBytes: (first + clusters) * clusterBytes };
}
