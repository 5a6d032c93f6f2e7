import type { Region } from '../image/regions.js';
import { regionClusters } from '../image/regions.js';
import type { Geometry } from '../qcow2/geometry.js';
import type { Counted } from './count.js';
import { Vacated } from './settle.js';
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

/** What can't stay: mended tables, and whatever shares a cluster with something else. */
export function movesOf(tree: MendedTree, counted: Counted, refcounts: boolean): Moves {
  const { offsets, active, inactive } = tree.tally;
  const { clusterBytes } = tree.image.geometry;
  const l2s = new Set(counted.mendedL2s);
  offsets.forEach((offset, index) => {
    const pointers = active[index]! + inactive[index]!;
    if (counted.counts.get(offset / clusterBytes) !== pointers) l2s.add(index);
  });
  const misplaced = [...counted.misplaced];
  const has = (owner: Region['owner']): boolean => misplaced.some((one) => one.owner === owner);
  return {
    l2s,
    activeL1: has('active-l1'),
    inactiveL1s: new Set(
      misplaced.filter(({ owner }) => owner === 'inactive-l1').map(({ at }) => at),
    ),
    snapshotTable: has('snapshot-table'),
    refcounts: refcounts || has('refcount-table') || has('refcount-block'),
  };
}

/** Takes the references of everything that moves out of the counts again. */
export function vacate(tree: MendedTree, counted: Counted, moves: Moves): Vacated {
  const { geometry } = tree.image;
  const vacated = new Vacated(geometry.refcountBlockEntries);
  const { counts } = counted;
  const take = (cluster: number, references: number): void => {
    counts.set(cluster, counts.get(cluster) - references);
    vacated.add(cluster, references);
  };
  for (const index of moves.l2s) {
    const { offsets, active, inactive } = tree.tally;
    take(offsets[index]! / geometry.clusterBytes, active[index]! + inactive[index]!);
  }
  for (const region of counted.regions) {
    if (!isMoved(region, moves)) continue;
    for (const cluster of countedClusters(region, counts.clusters, geometry)) take(cluster, 1);
  }
  return vacated;
}

function isMoved({ owner, at }: Region, moves: Moves): boolean {
  if (owner === 'active-l1') return moves.activeL1;
  if (owner === 'inactive-l1') return moves.inactiveL1s.has(at);
  if (owner === 'snapshot-table') return moves.snapshotTable;
  const isRefcounts = owner === 'refcount-table' || owner === 'refcount-block';
  return isRefcounts && moves.refcounts;
}

function countedClusters(region: Region, counted: number, geometry: Geometry): readonly number[] {
  const [first, end] = regionClusters(region, geometry.clusterBytes);
  const length = Math.max(0, Math.min(end, counted) - first);
  return Array.from({ length }, (_, i) => first + i);
}
