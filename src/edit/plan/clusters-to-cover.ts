import { clustersToHold, roundUp } from '../../base/units.js';
import type { NextState } from './next-state.js';
import type { SurveyedEdit } from './survey.js';

/** Fixed part and padding of a snapshot table entry, in bytes. Spec: Snapshots. */
const ENTRY_BYTES = 48;

/**
 * How many clusters a ledger has to cover: those of the file, those of all new tables if they go past its end,
 * and the rest of the last refcount block, since blocks are written whole.
 */
export function clustersToCover({ image, format, tally, next }: SurveyedEdit): number {
  const { geometry, header } = image;
  const { clusterBytes, refcountBlockEntries } = geometry;
  const copies = tally.written.reduce((sum, pointers) => sum + Math.min(pointers, 1), 0);
  const tables = [...newL1Bytes(next), snapshotTableBytes(next)];
  const placed = tables.reduce((sum, bytes) => sum + clustersToHold(bytes, clusterBytes), copies);
  const fresh =
    (next.newL2Tables?.length ?? 0) +
    (next.newData?.clusters ?? 0) +
    (next.newClusters?.guestOffsets.length ?? 0);
  const withoutRefcounts = format.fileClusters + placed + fresh + header.refcountTable.clusters;

  // More clusters take more refcount blocks, which are clusters that have to be counted too.
  let covered = withoutRefcounts;
  for (;;) {
    const blocks = clustersToHold(covered, refcountBlockEntries);
    const needed = withoutRefcounts + blocks + clustersToHold(blocks * 8, clusterBytes);
    if (needed <= covered) return roundUp(covered, refcountBlockEntries);
    covered = needed;
  }
}

function newL1Bytes(next: NextState): readonly number[] {
  const l1s = next.snapshots.flatMap(({ l1 }) => (l1.kind === 'new' ? [l1.words] : []));
  if (next.activeL1 !== undefined) l1s.push(next.activeL1);
  return l1s.map((words) => words.byteLength);
}

function snapshotTableBytes(next: NextState): number {
  return next.snapshots.reduce((sum, { entry }) => {
    const { extraData, idBytes, nameBytes } = entry;
    return sum + ENTRY_BYTES + extraData.length + idBytes.length + nameBytes.length;
  }, 0);
}
