import type { OpenImage } from '../../image/image.js';
import { isZero } from '../../base/bytes.js';
import { clustersToHold } from '../../base/units.js';
import { bytesOf } from '../../base/words.js';
import { offsetOf } from '../../l1l2/entry.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { readTable } from '../../refs/tables.js';
import type { NewL2Table } from '../tables/table-content.js';

/** How much of a disk's VM state stays. */
export interface KeptVmState {
  readonly diskSizeBytes: number;
  /** Bytes from the beginning of the VM state. */
  readonly keptBytes: number;
}

/** An L1 that maps less VM state. */
export interface CutL1 {
  /** Host-order words; the entry of the new table is 0. */
  readonly words: Uint32Array;
  /** The L2 table in which the kept part ends, where something is mapped behind it. */
  readonly lastTable: Pick<NewL2Table, 'l1Index' | 'words'> | undefined;
}

/**
 * Takes what is mapped behind the kept part out of an L1, whatever the table maps of the disk.
 *
 * @param l1 host-order words.
 * @returns undefined where nothing is mapped there.
 */
export async function cutL1(
  { source, geometry }: Pick<OpenImage, 'source' | 'geometry'>,
  l1: Uint32Array,
  { diskSizeBytes, keptBytes }: KeptVmState,
): Promise<CutL1 | undefined> {
  const { clusterBytes, l2Entries, l2EntryBytes } = geometry;
  const first = l1EntriesFor(diskSizeBytes, geometry);
  const keptClusters = clustersToHold(keptBytes, clusterBytes);
  const entries = Math.min(first + clustersToHold(keptClusters, l2Entries), l1.length / 2);
  // A table of no entries would lie nowhere.
  const words = new Uint32Array(Math.max(1, entries) * 2);
  words.set(l1.subarray(0, entries * 2));
  const isShorter = !isZero(bytesOf(l1.subarray(entries * 2)));

  const within = keptClusters % l2Entries;
  const last = first + Math.floor(keptClusters / l2Entries);
  const isPartial = within > 0 && last < entries;
  const at = isPartial ? offsetOf(words[2 * last]!, words[2 * last + 1]!) : 0;
  if (at !== 0) {
    const table = await readTable(source, at, clusterBytes / 8);
    if (!isZero(bytesOf(table), within * l2EntryBytes)) {
      table.fill(0, (within * l2EntryBytes) / 4);
      words.fill(0, 2 * last);
      return { words, lastTable: { l1Index: last, words: table } };
    }
  }
  return isShorter ? { words, lastTable: undefined } : undefined;
}
