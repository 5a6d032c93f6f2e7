import { clustersToHold } from '../../base/units.js';
import type { Image, OpenImage } from '../../image/image.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { offsetOf } from '../../l1l2/entry.js';
import { diskTallyOf, type DiskTally } from '../../refs/disk-tally.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { disksOf, walkL1Tables } from '../../refs/walk.js';
import type { EmptiedL1, RepairChoice } from './choice.js';
import { isChanged, type Mending, type TableMender } from './mend-tables.js';
import type { Unknowns } from './unknowns.js';

/** The L1 tables as a repair leaves them, and the L2 tables that they point at. */
export interface MendedTree {
  readonly image: OpenImage;
  readonly mender: TableMender;
  /** The active L1: mended, and as it is stored. */
  readonly activeL1: Uint32Array;
  readonly storedActiveL1: Uint32Array;
  /** Snapshots that stay. */
  readonly kept: readonly Snapshot[];
  /** Whose L1 tables are given up. */
  readonly emptied: ReadonlySet<EmptiedL1>;
  /** Given up L1 tables that nobody can find, by index of the snapshot: how many entries their empty ones have. */
  readonly newL1s: ReadonlyMap<number, number>;
  /** Indexes of snapshots with an L1 table in which something was mended. */
  readonly mendedL1s: ReadonlySet<number>;
  readonly tally: DiskTally;
  /**
   * Host offsets where L2 tables would lie by entries that stay as they are and can't be right, with
   * how many entries say so.
   */
  readonly strayTables: ReadonlyMap<number, number>;
}

/** Reads and mends all L1 tables but those of snapshots that are dropped; those given up become empty. */
export async function readTree(
  image: OpenImage,
  mender: TableMender,
  { dropSnapshots, emptyL1s }: Pick<RepairChoice, 'dropSnapshots' | 'emptyL1s'>,
  unknowns: Unknowns,
): Promise<MendedTree> {
  const { clusterBytes } = image.geometry;
  const dropped = new Set(dropSnapshots);
  const emptied = new Set<EmptiedL1>(emptyL1s);
  const kept = image.snapshots.filter(({ index }) => !dropped.has(index));
  const mendedL1s = new Set<number>();
  const strayTables = new Map<number, number>();
  let activeL1: Uint32Array = new Uint32Array(0);
  let storedActiveL1 = activeL1;
  const disks = disksOf({ header: image.header, snapshots: kept });
  const pointers = await walkL1Tables(image, disks, ({ number, l1, snapshot }, words, to) => {
    const isActive = snapshot === undefined;
    const stored = isActive ? words.slice() : words;
    if (emptied.has(isActive ? 'active' : snapshot.index)) words.fill(0);
    const mended = mendL1(words, l1.at, mender, (offset, mending) => {
      if (mending === 'unreadable') {
        unknowns.unreadable(offset, clusterBytes);
        strayTables.set(offset, (strayTables.get(offset) ?? 0) + 1);
      } else if (mending === 'zeroed') {
        unknowns.addOwner();
        unknowns.spare(offset, clusterBytes);
      } else to.add(number, offset);
    });
    if (isActive) [activeL1, storedActiveL1] = [words, stored];
    else if (mended) mendedL1s.add(snapshot.index);
  });
  const tally = diskTallyOf(pointers);
  const active = { activeL1, storedActiveL1 };
  const newL1s = emptyL1sOf(kept, emptied, image);
  return { image, mender, ...active, kept, emptied, newL1s, mendedL1s, tally, strayTables };
}

function emptyL1sOf(
  kept: readonly Snapshot[],
  emptied: ReadonlySet<EmptiedL1>,
  { geometry }: Image,
): ReadonlyMap<number, number> {
  const entriesMax = LIMITS.l1BytesMax.value / 8;
  const unplaced = kept.filter(({ index, l1 }) => emptied.has(index) && l1.entries === 0);
  return new Map(
    unplaced.map(({ index, diskSizeBytes }) => [
      index,
      Math.min(l1EntriesFor(diskSizeBytes, geometry), entriesMax),
    ]),
  );
}

/**
 * Mends an L1 table in place.
 *
 * @param visit gets where every entry points that points somewhere, and how it stands; a zeroed one
 *   with where it pointed.
 * @returns whether anything was mended.
 */
export function mendL1(
  words: Uint32Array,
  at: number,
  mender: TableMender,
  visit?: (offset: number, mending: Mending) => void,
): boolean {
  let mended = false;
  for (let index = 0; index * 2 < words.length; index++) {
    if ((words[2 * index]! | words[2 * index + 1]!) === 0) continue;
    const offset = offsetOf(words[2 * index]!, words[2 * index + 1]!);
    const mending = mender.mendL1(words, index, at);
    mended ||= isChanged(mending);
    if (offset !== 0 || mending === 'zeroed') visit?.(offset, mending);
  }
  return mended;
}

/** Clusters of all L1 tables that stay. */
export function l1Clusters(tree: MendedTree): number {
  const { header, geometry } = tree.image;
  const inactive = tree.kept.map(({ l1, index }) => tree.newL1s.get(index) ?? l1.entries);
  return [header.activeL1.entries, ...inactive].reduce(
    (sum, entries) => sum + clustersToHold(entries * 8, geometry.clusterBytes),
    0,
  );
}
