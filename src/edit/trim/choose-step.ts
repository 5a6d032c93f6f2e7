import { clustersToHold } from '../../base/units.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { popcount } from '../../refcount/bits.js';
import { disksOf, type WalkedDisk } from '../../refs/walk.js';
import type { AuditedEdit } from '../plan/audit.js';
import { chooseFar } from './choose-far.js';
import { findFar, type FarReferences } from './far-references.js';
import { immovableEnd } from './immovable.js';
import { pairClusters, type Pairs } from './pair.js';
import { lastUsed } from './used-end.js';

/** What one step moves. */
export interface Step {
  readonly far: FarReferences;
  readonly pairs: Pairs;
  /** L2 tables that are written anew, as indexes in the tally. */
  readonly copied: readonly number[];
  /** Disks whose L1 tables are written anew: they lead to such L2 tables or lie too far back. */
  readonly renewed: readonly WalkedDisk[];
}

/**
 * Chooses the last clusters that are in use, as many as find a place in front of them together with the tables that
 * have to be written anew.
 *
 * @returns undefined where none do.
 */
export async function chooseStep(edit: AuditedEdit, most: number): Promise<Step | undefined> {
  const { counts, free, format } = edit;
  const end = lastUsed(counts, format.fileClusters) + 1;
  const chosen = chooseFar(counts, free, [await immovableEnd(edit), end], most);
  if (chosen.length === 0) return undefined;
  const far = await findFar(edit, chosen[0]!);
  const isKnown = knownIn(far);
  // What nothing refers to stays, and with it all that lies before it.
  let rest = chosen.slice(chosen.findLastIndex((cluster) => !isKnown(cluster)) + 1);
  while (rest.length > 0) {
    const from = rest[0]!;
    const pairs = pairClusters(from, far, free);
    let less = Math.ceil(rest.length / 2);
    if (pairs !== undefined) {
      const step = stepOf(edit, far, pairs);
      const missing = clustersNeeded(edit, step) - countBelow(free, from);
      if (missing <= 0) return step;
      less = missing;
    }
    rest = rest.slice(less);
  }
  return undefined;
}

function stepOf({ image, pointers }: AuditedEdit, far: FarReferences, pairs: Pairs): Step {
  const copied = [...far.farthest.keys()].filter((index) => far.farthest[index]! >= pairs.from);
  const sets = new Set(copied.map((index) => pointers.sets[index]!));
  const leading = new Set([...sets].flatMap((set) => pointers.disks.disksOf(set)));
  const clearFrom = pairs.from * image.geometry.clusterBytes;
  const renewed = disksOf(image).filter(({ number, l1 }) => {
    return leading.has(number) || l1.at + l1.entries * 8 > clearFrom;
  });
  return { far, pairs, copied, renewed };
}

/** How many free clusters a step takes, as far as can be told: each table may lie in a refcount block of its own. */
function clustersNeeded({ image, tally }: AuditedEdit, { pairs, copied, renewed }: Step): number {
  const { geometry, header, snapshotTableBytes } = image;
  const { clusterBytes, refcountBlockEntries } = geometry;
  const l1Clusters = renewed.reduce((sum, { l1 }) => {
    return sum + clustersToHold(l1.entries * 8, clusterBytes);
  }, 0);
  const touched = new Set<number>([0]);
  const touch = (cluster: number): unknown =>
    touched.add(Math.floor(cluster / refcountBlockEntries));
  for (const { source, target } of pairs.copies) [source, target].forEach(touch);
  for (const index of copied) touch(tally.offsets[index]! / clusterBytes);
  const others = clustersToHold(snapshotTableBytes, clusterBytes) + header.refcountTable.clusters;
  return pairs.copies.length + copied.length + l1Clusters + others + touched.size;
}

function countBelow(free: ClusterSet, end: number): number {
  let count = 0;
  for (let word = 0; word < end >>> 5; word++) count += popcount(free.wordAt(word));
  return count + popcount(free.wordAt(end >>> 5) & ~(-1 << (end & 31)));
}

function knownIn({ plain, packed, metadata }: FarReferences): (cluster: number) => boolean {
  const reached = new Set<number>();
  for (const [first, byReach] of packed) {
    for (let cluster = first; cluster < first + byReach.length; cluster++) reached.add(cluster);
  }
  return (cluster) => plain.has(cluster) || reached.has(cluster) || metadata.has(cluster);
}
