import { clustersToHold } from '../../base/units.js';
import type { BlockSource } from '../../io/device.js';
import type { TableFormat } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';
import type { RescueHead } from './head.js';
import type { ClusterContents } from '../../read/scan/cluster-looks.js';
import type { RefcountHints } from './stored-refcounts.js';

/**
 * A structure that can be rebuilt from the others. L1 tables that lead to tables are believed all the same: what they say is
 * nowhere else.
 */
export type RebuiltPart = 'header' | 'snapshots' | 'l1' | 'refcounts';

/** All that a damaged file offers, before anybody decides what it means. */
export interface Evidence {
  readonly source: BlockSource;
  readonly fileSizeBytes: number;
  readonly head: RescueHead;
  readonly format: TableFormat;
  readonly scan: Scan;
  readonly swept: ClusterContents;
  readonly refcounts: RefcountHints;
  /** Structures that count as lost, whatever is stored there. */
  readonly rebuilt: readonly RebuiltPart[];
  /** Where else the image's own structures lie, if they can be believed: snapshot table and bitmaps. */
  readonly ownRegions: readonly { readonly at: number; readonly bytes: number }[];
}

/** The cluster that lies at a host offset; the offset is a cluster's start. */
export function clusterAt(offset: number, { format }: Evidence): number {
  return offset / format.geometry.clusterBytes;
}

/** Whether a table can begin at a host offset. */
export function isPlace(offset: number, { format, fileSizeBytes }: Evidence): boolean {
  const { clusterBytes } = format.geometry;
  return offset >= clusterBytes && offset < fileSizeBytes && offset % clusterBytes === 0;
}

/**
 * Whether the cluster at this offset was cut off with the end of the file, by the refcounts: they reach as far as the
 * old end. Without refcounts every offset past the end may pass, one with a flipped bit included.
 */
export function isCutOff(offset: number, evidence: Evidence): boolean {
  const { format, fileSizeBytes, refcounts } = evidence;
  const { clusterBytes } = format.geometry;
  const isCluster = offset % clusterBytes === 0;
  return isCluster && offset >= fileSizeBytes && offset / clusterBytes < refcounts.endInUse;
}

/** Whether something that looks like a table begins there. */
export function holdsTable(offset: number, evidence: Evidence): boolean {
  return isPlace(offset, evidence) && evidence.swept.isTable.has(clusterAt(offset, evidence));
}

/** Whether a place of the file, a cluster's start or not, holds a cluster of zeros. */
export function isZeroAt(at: number, { swept, format }: Evidence): boolean {
  const cluster = at / format.geometry.clusterBytes;
  return Number.isInteger(cluster) && cluster < format.fileClusters && swept.isZero.has(cluster);
}

/** Whether the refcounts say that the cluster is in use, or that it is free; undefined: nothing. */
export function isInUse(offset: number, evidence: Evidence): boolean | undefined {
  const count = evidence.refcounts.of(clusterAt(offset, evidence));
  return count === undefined ? undefined : count > 0;
}

/** Clusters that an L1 table of so many entries lies in. */
export function l1ClusterCount(entries: number, { format }: Evidence): number {
  return clustersToHold(entries * 8, format.geometry.clusterBytes);
}
