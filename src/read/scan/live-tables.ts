import { visitL1Tables } from '../../refs/l1-tables.js';
import { disksOf } from '../../refs/walk.js';
import { offsetOf } from '../../l1l2/entry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { Ground } from './ground.js';

/** The L2 tables that disks of an image use now for one part of the disk. */
export interface LiveTables {
  /** Host offsets of those that snapshots have which were there together with what is compared with them. */
  readonly together: ReadonlySet<number>;
  readonly others: ReadonlySet<number>;
}

/**
 * Collects the L2 tables that the disks of the image use now, by L1 index.
 *
 * @param isWanted by L1 index; no others are collected.
 * @param isTogether whether a snapshot was there together with what is compared with it.
 */
export async function liveTables(
  ground: Ground,
  isWanted: (index: number) => boolean,
  isTogether: (snapshot: Snapshot) => boolean = () => false,
): Promise<ReadonlyMap<number, LiveTables>> {
  const found = new Map<number, { together: Set<number>; others: Set<number> }>();
  await visitLiveTables(ground, (snapshot, index, at) => {
    if (!isWanted(index)) return;
    const side = snapshot !== undefined && isTogether(snapshot) ? 'together' : 'others';
    const tables = found.get(index) ?? { together: new Set(), others: new Set() };
    tables[side].add(at);
    found.set(index, tables);
  });
  return found;
}

/** All L2 tables that disks of the image use now, with the L1 index of each: the first one, where it has several. */
export async function walkL1Indexes(ground: Ground): Promise<ReadonlyMap<number, number>> {
  const indexes = new Map<number, number>();
  await visitLiveTables(ground, (_, index, at) => {
    if (!indexes.has(at)) indexes.set(at, index);
  });
  return indexes;
}

/** Tells of each L1 entry of all disks that leads to where a table can be. */
async function visitLiveTables(
  { image, fileSizeBytes }: Ground,
  visit: (snapshot: Snapshot | undefined, index: number, at: number) => void,
): Promise<void> {
  if (image === undefined) return;
  const { clusterBytes } = image.geometry;
  const disks = disksOf(image);
  const refs = disks.map(({ l1 }) => l1);
  await visitL1Tables(image.source, refs, (position, words) => {
    for (let i = 0; i < words.length; i += 2) {
      const at = offsetOf(words[i]!, words[i + 1]!);
      const isTable = at !== 0 && at % clusterBytes === 0 && at < fileSizeBytes;
      if (isTable) visit(disks[position]!.snapshot, i / 2, at);
    }
  });
}
