import { swapWords } from '../base/words.js';
import { tableFormat } from '../image/table-format.js';
import type { OpenImage } from '../image/image.js';
import { stoppableImage, type Stoppable } from '../io/stoppable.js';
import { COMPRESSED, offsetOf, packedClusters } from '../l1l2/entry.js';
import { newRuns, readRuns } from '../l1l2/runs.js';
import { NO_PROBLEM, scanOf, type Scan } from '../l1l2/scan.js';
import { OwnerMap } from './owner-map.js';
import type { Pointers } from './pointers.js';
import { disksOf, walkL1Tables, walkReferences, type ReferenceVisitor } from './walk.js';

/** Who refers to what in an image. */
export interface Owners {
  /** Which disks point at which L2 table. */
  readonly pointers: Pointers;
  /** Which disks have which clusters of guest data and VM state. */
  readonly data: OwnerMap;
}

/**
 * Tells for each host cluster of guest data or VM state which disks have it. One walk serves all disks, and reads
 * each L2 table once, however many L1 tables share it. Entries that can't be right own nothing.
 *
 * ```ts
 * const image = await openImage(device);
 * const { data, pointers } = await mapOwners(image);
 * const { clusterBytes } = image.geometry;
 * for (const { first, length, owners } of data.ranges()) {
 *   // Disk 0 is the active one, disk n the snapshot at position n - 1.
 *   console.log(first * clusterBytes, length * clusterBytes, pointers.disks.disksOf(owners));
 * }
 * ```
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function mapOwners(opened: OpenImage, { signal }: Stoppable = {}): Promise<Owners> {
  const image = stoppableImage(opened, signal, 'the walk over the tables');
  const pointers = await walkL1Tables(image, disksOf(image));
  return { pointers, data: await ownersBehind(image, pointers) };
}

/**
 * Tells for each host cluster which disks have it, by the pointers to L2 tables that were collected.
 *
 * @param more is told of the tables of bitmaps, too, in the same walk, and of each L2 table that has other than plain
 *   entries: its place, and its words in host order. May throw.
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function ownersBehind(
  image: OpenImage,
  pointers: Pointers,
  more: MoreReferences = {},
): Promise<OwnerMap> {
  const { disks } = pointers;
  const data = new OwnerMap(disks, tableFormat(image).fileClusters);
  // A disk that points at a table twice has its clusters all the same.
  const sets = Array.from(pointers.sets, (set) => disks.distinct(set));
  const add = (first: number, length: number, table: number): void => {
    data.add(first, length, sets[table]!);
  };
  await visitOwned(image, pointers, add, more);
  return data;
}

/** What else is told of, in the same walk. */
type MoreReferences = Pick<ReferenceVisitor, 'bitmapEntry'> & {
  readonly oddTable?: (at: number, words: Uint32Array) => void;
};

/** Is told of host clusters in a row that the entries of a table name, and of the table's index. */
type AddOwned = (first: number, length: number, table: number) => void;

/**
 * Tells of the host clusters of guest data and VM state that L2 tables name. Entries that can't be right name none.
 *
 * @param add may be told of clusters behind the end of the file.
 */
export async function visitOwned(
  image: OpenImage,
  pointers: Pointers,
  add: AddOwned,
  more: MoreReferences = {},
): Promise<void> {
  const scan = scanOf(tableFormat(image), true);
  if (image.header.externalDataFile) return;
  const runs = newRuns(scan);
  await walkReferences(image, pointers, {
    ...(more.bitmapEntry !== undefined && { bitmapEntry: more.bitmapEntry }),
    l2Table: (index, stored) => {
      if (readRuns(stored, scan, runs) === NO_PROBLEM) {
        for (let run = 0; run < runs.count; run++) {
          add(runs.clusters[run]!, runs.lengths[run]!, index);
        }
        return;
      }
      swapWords(stored);
      more.oddTable?.(pointers.offsets[index]!, stored);
      addEntries(stored, scan, index, add);
    },
  });
}

/** Adds the clusters of a table in host order, entry by entry. */
function addEntries(words: Uint32Array, scan: Scan, table: number, add: AddOwned): void {
  const { stride, clusterBits } = scan;
  const clusterBytes = 2 ** clusterBits;
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) !== 0) {
      const { first, last } = packedClusters(high, low, clusterBits);
      add(first, last - first + 1, table);
      continue;
    }
    const offset = offsetOf(high, low);
    if (offset !== 0 && offset % clusterBytes === 0) add(offset / clusterBytes, 1, table);
  }
}
