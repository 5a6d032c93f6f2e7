import { hinted } from '../../base/hints.js';
import { hex } from '../../base/words.js';
import type { Ledger } from '../plan/ledger.js';
import { QsnapError } from '../../errors.js';
import type { Region } from '../../refs/regions.js';
import type { Counts } from '../../refcount/counts.js';
import { mayPart, type RepairChoice } from './choice.js';
import type { Counted } from './count.js';
import type { ReleasedReferences } from './released-references.js';
import type { MendedTree } from './tree.js';
import { countedClusters, type Moves } from './moves.js';

/**
 * Clusters of metadata that something else names, too. Nobody knows which of the two owners is wrong, so a repair
 * moves neither away, unless METADATA_OVERLAP was chosen by name.
 */
export class SharedPlaces {
  readonly #clusters: readonly number[];
  readonly #clusterBytes: number;
  readonly #before = new Map<number, number>();

  constructor(tree: MendedTree, counted: Counted, moves: Moves, choice: RepairChoice) {
    const { clusterBytes } = tree.image.geometry;
    const { counts } = counted;
    const clusters = new Set<number>();
    const clustersOf = (region: Region): readonly number[] =>
      countedClusters(region, counts.clusters, clusterBytes);
    for (const region of counted.shared) {
      if (mayPart(choice, region.at, clusterBytes)) continue;
      for (const cluster of clustersOf(region)) if (counts.get(cluster) > 1) clusters.add(cluster);
    }
    const { offsets, active, inactive } = tree.tally;
    offsets.forEach((offset, index) => {
      const cluster = offset / clusterBytes;
      const isAlone = counts.get(cluster) === active[index]! + inactive[index]!;
      if (!isAlone && !mayPart(choice, offset, clusterBytes)) clusters.add(cluster);
    });
    // An L1 table that was given up by name may leave, and so may wrong refcounts.
    for (const region of counted.shared) {
      if (isGivenUp(region, tree, moves))
        for (const cluster of clustersOf(region)) clusters.delete(cluster);
    }
    this.#clusters = [...clusters];
    this.#clusterBytes = clusterBytes;
  }

  /** Notes the refcounts before anything is placed. */
  note(counts: Counts): void {
    for (const cluster of this.#clusters) this.#before.set(cluster, counts.get(cluster));
  }

  /**
   * Refuses a plan by which one of the owners has left.
   *
   * @throws QsnapError REPAIR_REFUSED.
   */
  refuseParting({ counts }: Ledger, released: ReleasedReferences): void {
    for (const [cluster, before] of this.#before) {
      if (counts.get(cluster) >= before && !released.has(cluster)) continue;
      const at = cluster * this.#clusterBytes;
      throw new QsnapError(
        'REPAIR_REFUSED',
        `the cluster at ${hex(at)} holds metadata and is named from elsewhere, too: the repair would have to ` +
          'part the two, and nobody knows which of them is wrong',
        {
          structure: 'file',
          at,
          ...hinted('part-owners'),
          imageState: 'unchanged',
        },
      );
    }
  }
}

function isGivenUp({ owner, at }: Region, tree: MendedTree, moves: Moves): boolean {
  if (owner === 'active-l1') return tree.emptied.has('active');
  if (owner === 'inactive-l1') {
    return tree.kept.some(({ index, l1 }) => l1.at === at && tree.emptied.has(index));
  }
  return moves.refcounts && (owner === 'refcount-table' || owner === 'refcount-block');
}
