import { visitL1Tables } from '../../refs/l1-tables.js';
import { disksOf } from '../../refs/walk.js';
import { offsetOf } from '../../l1l2/entry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { Ground } from './ground.js';

/** The L2 tables that disks of an image use now for one part of the disk. */
export interface LiveTables {
  /** Host offsets of those that snapshots have which are older than what is compared with them. */
  readonly older: ReadonlySet<number>;
  readonly others: ReadonlySet<number>;
}

/**
 * Collects the L2 tables that the disks of the image use now, by L1 index.
 *
 * @param isWanted by L1 index; no others are collected.
 * @param isOlder whether a snapshot is older than what is compared with it.
 */
export async function liveTables(
  { image, fileSizeBytes }: Ground,
  isWanted: (index: number) => boolean,
  isOlder: (snapshot: Snapshot) => boolean = () => false,
): Promise<ReadonlyMap<number, LiveTables>> {
  const found = new Map<number, { older: Set<number>; others: Set<number> }>();
  if (image === undefined) return found;
  const { clusterBytes } = image.geometry;
  const disks = disksOf(image);
  const refs = disks.map(({ l1 }) => l1);
  await visitL1Tables(image.source, refs, (position, words) => {
    const { snapshot } = disks[position]!;
    const side = snapshot !== undefined && isOlder(snapshot) ? 'older' : 'others';
    for (let i = 0; i < words.length; i += 2) {
      const at = offsetOf(words[i]!, words[i + 1]!);
      const isTable = at !== 0 && at % clusterBytes === 0 && at < fileSizeBytes;
      if (!isTable || !isWanted(i / 2)) continue;
      const tables = found.get(i / 2) ?? { older: new Set(), others: new Set() };
      tables[side].add(at);
      found.set(i / 2, tables);
    }
  });
  return found;
}

/** All L2 tables that disks of the image use now, with the L1 index of each: the first one, where it has several. */
export async function walkL1Indexes({
  image,
  fileSizeBytes,
}: Ground): Promise<ReadonlyMap<number, number>> {
  const indexes = new Map<number, number>();
  if (image === undefined) return indexes;
  const { clusterBytes } = image.geometry;
  await visitL1Tables(
    image.source,
    disksOf(image).map(({ l1 }) => l1),
    (_, words) => {
      for (let i = 0; i < words.length; i += 2) {
        const at = offsetOf(words[i]!, words[i + 1]!);
        const isTable = at !== 0 && at % clusterBytes === 0 && at < fileSizeBytes;
        if (isTable && !indexes.has(at)) indexes.set(at, i / 2);
      }
    },
  );
  return indexes;
}
