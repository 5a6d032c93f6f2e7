import { hinted } from '../../base/hints.js';
import { swapWords } from '../../base/words.js';
import { isQsnapError } from '../../errors.js';
import { damagedEntry } from '../../image/damage.js';
import type { OpenImage } from '../../image/image.js';
import { watchedImage } from '../../image/watched-image.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { COPIED, judgeL2Entry, offsetOf, type TableFormat } from '../../l1l2/entry.js';
import type { DiskSet, DiskSets } from '../../refs/disk-sets.js';
import { tableFormat } from '../../image/table-format.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { checkL1Table } from '../../refs/l1-tables.js';
import { ownersBehind } from '../../refs/owners.js';
import type { Pointers } from '../../refs/pointers.js';
import { disksOf, walkL1Tables, walkReferences } from '../../refs/walk.js';
import { countSpace, type Space } from './space.js';
import { addParts } from './parts.js';

/**
 * What the disks of an image have in common. All of it is bytes of the image file in whole clusters, by the set of parts
 * (`parts.ts`) that have them: there are few sets, however many clusters there are.
 */
export interface Sharing {
  readonly image: OpenImage;
  /** The sets of parts. */
  readonly parts: DiskSets;
  /** By set: bytes of guest data and VM state. */
  readonly data: Float64Array;
  /** By set: bytes of L2 tables. */
  readonly tables: Float64Array;
  /** Bytes of guest data in an external data file; only the active disk has one. */
  readonly dataFileBytes: number;
  /** What the whole file is made of. */
  readonly space: Space;
}

/** How the walk is watched and ended. */
export interface SharingOptions extends Stoppable {
  /** Gets what share is done, from 0 to 1, at most a hundred times. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

/**
 * Reads what the disks of an image have in common, by one walk over its tables and refcounts.
 *
 * @throws QsnapError IMAGE_DAMAGED for a table entry that can't be right, READ_FAILED, LIMIT_EXCEEDED, ABORTED.
 */
export async function readSharing(
  opened: OpenImage,
  { signal, onProgress }: SharingOptions = {},
): Promise<Sharing> {
  const stopping = stoppableImage(opened, signal, 'the walk over the tables');
  const image = onProgress === undefined ? stopping : watchedImage(stopping, onProgress);
  const { geometry, header } = image;
  const { clusterBytes } = geometry;
  const format = tableFormat(image);
  const pointers = await walkL1Tables(image, disksOf(image), (disk, words, into) => {
    // What a table that can't be right refers to would be missing from every sum.
    asMeasured(() => {
      const structure = disk.snapshot === undefined ? 'active-l1' : 'inactive-l1';
      checkL1Table(structure, disk.l1, words, format);
    });
    const { diskSizeBytes } = disk.snapshot ?? header;
    addParts(disk, diskSizeBytes, words, geometry, into);
  });
  const parts = pointers.disks;
  const bitmapClusters: number[] = [];
  const owned = await ownersBehind(image, pointers, {
    bitmapEntry: (high, low) => {
      const offset = offsetOf(high, low);
      if (offset !== 0) bitmapClusters.push(Math.floor(offset / clusterBytes));
    },
    oddTable: (at, words) => {
      checkL2Table(at, words, format);
    },
  });
  const data: number[] = [];
  const dataClusters = new ClusterSet(format.fileClusters);
  for (const { first, length, owners } of owned.ranges()) {
    add(data, owners, length * clusterBytes);
    dataClusters.addRange(first, first + length);
  }
  const tables: number[] = [];
  for (const set of pointers.sets) add(tables, parts.distinct(set), clusterBytes);
  return {
    image: opened,
    parts,
    data: Float64Array.from(data, (bytes: number | undefined) => bytes ?? 0),
    tables: Float64Array.from(tables, (bytes: number | undefined) => bytes ?? 0),
    dataFileBytes: header.externalDataFile ? await countDataFileBytes(image, pointers) : 0,
    space: await countSpace(image, pointers, dataClusters, bitmapClusters),
  };
}

/** @throws QsnapError IMAGE_DAMAGED. */
function checkL2Table(at: number, words: Uint32Array, format: TableFormat): void {
  const stride = format.geometry.l2EntryBytes / 4;
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    const problem = judgeL2Entry(high, low, format);
    if (problem === undefined || problem === 'copied-without-offset') continue;
    asMeasured(() => {
      throw damagedEntry('l2', at + i * 4, problem, high, low);
    });
  }
}

/** Errors of damage with the hint of who only reads. */
function asMeasured(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw isQsnapError(error) ? error.with(hinted('check-image')) : error;
  }
}

function add(to: number[], set: DiskSet, bytes: number): void {
  to[set] = (to[set] ?? 0) + bytes;
}

/** Counts the clusters that L2 tables name in an external data file. Spec: Standard Cluster Descriptor. */
async function countDataFileBytes(image: OpenImage, pointers: Pointers): Promise<number> {
  const stride = image.geometry.l2EntryBytes / 4;
  let clusters = 0;
  await walkReferences(image, pointers, {
    l2Table: (_, words) => {
      swapWords(words);
      for (let i = 0; i < words.length; i += stride) {
        // The first cluster of a data file has offset 0: the flag tells that it is allocated.
        const isCopied = (words[i]! & COPIED) !== 0;
        if (isCopied || offsetOf(words[i]!, words[i + 1]!) !== 0) clusters += 1;
      }
    },
  });
  return clusters * image.geometry.clusterBytes;
}
