import type { Region } from '../../refs/regions.js';
import { mayPart, type RepairChoice } from './choice.js';
import { regionClusters } from '../../refs/regions.js';
import type { Counted } from './count.js';
import { ReleasedReferences } from './released-references.js';
import type { MendedTree } from './tree.js';

/** Metadata that a repair moves because of what it holds or where it lies. */
export interface Moves {
  /** Indexes in the tally: all who point at these tables will point at copies. */
  readonly l2s: ReadonlySet<number>;
  readonly activeL1: boolean;
  /** Host offsets of L1 tables of snapshots. */
  readonly inactiveL1s: ReadonlySet<number>;
  readonly snapshotTable: boolean;
  /** All refcount blocks and the table. */
  readonly refcounts: boolean;
}

/**
 * Decides what moves: mended tables, L1 tables that are given up, and refcount structures that can't stay. Metadata
 * that shares its cluster with something else moves only if that was chosen by name, since nobody knows which of the
 * two is wrong.
 */
export function movesOf(
  tree: MendedTree,
  counted: Counted,
  refcounts: boolean,
  choice: RepairChoice,
): Moves {
  const { offsets, active, inactive } = tree.tally;
  const { clusterBytes } = tree.image.geometry;
  const mayMove = (at: number): boolean => mayPart(choice, at, clusterBytes);
  const l2s = new Set(counted.mendedL2s);
  offsets.forEach((offset, index) => {
    const pointers = active[index]! + inactive[index]!;
    const isAlone = counted.counts.get(offset / clusterBytes) === pointers;
    if (!isAlone && mayMove(offset)) l2s.add(index);
  });
  const behind = [...counted.misplaced].filter((region) => !counted.shared.has(region));
  const has = (owner: Region['owner']): boolean => behind.some((one) => one.owner === owner);
  const moved = [...counted.shared].filter(({ at }) => mayMove(at));
  const hasMoved = (owner: Region['owner']): boolean => moved.some((one) => one.owner === owner);
  const emptied = new Set(choice.emptyL1s);
  const inactiveL1s = [
    ...moved.filter(({ owner }) => owner === 'inactive-l1').map(({ at }) => at),
    ...tree.kept
      .filter(({ index, l1 }) => emptied.has(index) && l1.entries > 0)
      .map(({ l1 }) => l1.at),
  ];
  return {
    l2s,
    activeL1: hasMoved('active-l1') || emptied.has('active'),
    inactiveL1s: new Set(inactiveL1s),
    snapshotTable: hasMoved('snapshot-table'),
    refcounts:
      refcounts || [has, hasMoved].some((is) => is('refcount-table') || is('refcount-block')),
  };
}

/** Takes the references of everything that moves out of the counts again. */
export function releaseMoved(tree: MendedTree, counted: Counted, moves: Moves): ReleasedReferences {
  const { geometry } = tree.image;
  const released = new ReleasedReferences(geometry.refcountBlockEntries);
  const { counts } = counted;
  const take = (cluster: number, references: number): void => {
    counts.set(cluster, counts.get(cluster) - references);
    released.add(cluster, references);
  };
  for (const index of moves.l2s) {
    const { offsets, active, inactive } = tree.tally;
    take(offsets[index]! / geometry.clusterBytes, active[index]! + inactive[index]!);
  }
  for (const region of counted.regions) {
    if (!isMoved(region, moves)) continue;
    for (const cluster of countedClusters(region, counts.clusters, geometry.clusterBytes))
      take(cluster, 1);
  }
  return released;
}

function isMoved({ owner, at }: Region, moves: Moves): boolean {
  if (owner === 'active-l1') return moves.activeL1;
  if (owner === 'inactive-l1') return moves.inactiveL1s.has(at);
  if (owner === 'snapshot-table') return moves.snapshotTable;
  const isRefcounts = owner === 'refcount-table' || owner === 'refcount-block';
  return isRefcounts && moves.refcounts;
}

/** The clusters of a region that are counted. */
export function countedClusters(
  region: Region,
  counted: number,
  clusterBytes: number,
): readonly number[] {
  const [first, end] = regionClusters(region, clusterBytes);
  const length = Math.max(0, Math.min(end, counted) - first);
  return Array.from({ length }, (_, i) => first + i);
}
