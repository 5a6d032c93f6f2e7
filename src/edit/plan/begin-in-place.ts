import { clustersToHold, KiB } from '../../base/units.js';
import type { ByteRange } from '../../io/device.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { audit, type AuditedEdit } from './audit.js';
import { freedRanges } from './freed.js';
import { Ledger } from './ledger.js';
import type { NextState } from './next-state.js';
import { releaseDroppedL1s } from './place.js';
import { refuseUncountable } from './refuse.js';
import { moveDataRefcounts } from './tables-to-copy.js';
import { clustersToCover } from './clusters-to-cover.js';
import type { SurveyedEdit } from './survey.js';
import { shadowWriteRanges } from '../tx/plan.js';
import { filledClusters } from './filled.js';
import { shorterList, unlist, type ListInBytes, type Unlisting } from './unlist.js';

/** A state that has fewer snapshots, and nothing else that is new. */
export type ShorterList = NextState & { readonly activeL1: Uint32Array };

/** The list is planned, and nothing counts any more that only the dropped snapshots referred to. */
export interface Begun {
  /** As if no L1 had ever pointed at the L2 tables that only dropped snapshots had. */
  readonly edit: AuditedEdit<ShorterList>;
  readonly ledger: Ledger;
  readonly unlisting: Unlisting;
  /** Guest data that only dropped snapshots had. */
  readonly data: readonly ByteRange[];
  /** That, their tables, and what the old list does not share with the new one. */
  readonly released: readonly ByteRange[];
}

/**
 * Audits the image, plans the shorter list, and takes the references of dropped snapshots away.
 *
 * @param freeBytes what the medium has free.
 */
export async function begin(
  surveyed: SurveyedEdit<ShorterList>,
  freeBytes: number,
): Promise<Begun> {
  const { image, format, tally } = surveyed;
  const { clusterBytes } = image.geometry;
  const clusters = clustersToCover(surveyed);
  refuseUncountable(clusters, image);
  const audited = await audit(surveyed, clusters);
  const { counts, free } = audited;
  const list = shorterList(audited);
  const room = await roomForTable(list, audited, freeBytes);
  const ledger = new Ledger(image, counts, room, format.fileClusters, image.mayGrow);
  const unlisting = await unlist(audited, list, ledger, freeBytes);
  for (const { at, length } of unlisting.prepare.flatMap(shadowWriteRanges)) {
    for (let from = at; from < at + length; from += clusterBytes) {
      free.delete(Math.floor(from / clusterBytes));
    }
  }
  moveDataRefcounts(audited);
  const data = freedRanges(counts, free, image.geometry);
  releaseDroppedL1s(audited, ledger);
  for (const cluster of unlisting.released) ledger.changeMetadata(cluster, -1);
  const before = tally.before.slice();
  tally.offsets.forEach((at, index) => {
    if (tally.kept[index]! + tally.written[index]! > 0) return;
    ledger.changeMetadata(at / clusterBytes, -before[index]!);
    before[index] = 0;
  });
  const released = freedRanges(counts, free, image.geometry);
  const edit = { ...audited, tally: { ...tally, before } };
  return { edit, ledger, unlisting, data, released };
}

/** Two refcounts that are raised may lie in holes of the file, of which a host fills this much. */
const RAISED_BYTES = 8 * KiB;

/** Where a new snapshot table may go: on a full disk free clusters that are holes can't be filled. */
async function roomForTable(
  { isFirstPart, bytes }: ListInBytes,
  { image: { source, geometry }, free }: AuditedEdit,
  freeBytes: number,
): Promise<ClusterSet> {
  const { clusterBytes } = geometry;
  const clusters = clustersToHold(bytes.length, clusterBytes);
  if (isFirstPart || clusters * clusterBytes + RAISED_BYTES <= freeBytes) return free;
  return filledClusters(source, free, clusterBytes, clusters);
}

/** Clusters that the deletion leaves without a reference: the medium has room for them, also where it is full. */
export function releasedClusters({ edit, released }: Begun): ClusterSet {
  const { clusterBytes } = edit.image.geometry;
  const set = new ClusterSet(edit.free.clusters);
  for (const { at, length } of released)
    set.addRange(at / clusterBytes, (at + length) / clusterBytes);
  return set;
}

/** These, and the clusters that were free, which may be holes. */
export function usableClusters(begun: Begun): ClusterSet {
  const set = releasedClusters(begun);
  const { free } = begun.edit;
  for (let cluster = free.next(0); cluster < free.clusters; cluster = free.next(cluster + 1)) {
    set.add(cluster);
  }
  return set;
}
