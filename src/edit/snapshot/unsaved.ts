import type { Image, OpenImage } from '../../image/image.js';
import type { ReadableImage } from '../../image/open-for-reading.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { checkL1Table } from '../../refs/l1-tables.js';
import { claimRegions, metadataRegions } from '../../refs/regions.js';
import { disksOf, walkL1Tables, walkReferences } from '../../refs/walk.js';
import { tableFormat } from '../../image/table-format.js';
import { offsetOf } from '../../l1l2/entry.js';
import { scanOf } from '../../l1l2/scan.js';
import { anyStoredShared, countStoredDifferent } from '../../l1l2/stored-scan.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';

/** How many times as many pairs are looked at for each snapshot as before. */
const PAIRS_GROWTH = 4;

/** How the active disk differs from the snapshot that is most like it. */
export interface UnsavedChanges {
  readonly nearest: Snapshot;
  /** Guest clusters that are mapped otherwise than in `nearest`. */
  readonly guestClusters: number;
  readonly guestBytes: number;
  readonly diskSizeDiffers: boolean;
}

/** Two different L2 tables for the same guest range, as host offsets; 0 for none. */
interface TablePair {
  /** The active disk's. */
  readonly active: number;
  readonly other: number;
  /** Indexes of the snapshots that have `other`. */
  readonly snapshots: number[];
}

/**
 * What would be lost if the active disk went away: undefined when some snapshot has the very same
 * disk. Judged by the tables alone: two clusters with the same bytes count as different.
 *
 * Every L2 table is read at most twice for each place where it differs from the active one.
 *
 * ```ts
 * const unsaved = await computeUnsavedChanges(await openImage(device));
 * if (unsaved) console.log(`${unsaved.guestBytes} bytes differ from ${unsaved.nearest.name}`);
 * ```
 *
 * @throws QsnapError IMAGE_DAMAGED, READ_FAILED, ABORTED.
 */
export async function computeUnsavedChanges(
  opened: OpenImage,
  { signal }: Stoppable = {},
): Promise<UnsavedChanges | undefined> {
  const image = stoppableImage(opened, signal, 'the comparison with the snapshots');
  const { pairs } = await collectPairs(image);
  const equal = await equalToActive(image, pairs);
  if (equal.size > 0 || image.snapshots.length === 0) return undefined;
  return (await byDifference(image, pairs))[0];
}

/** Where the active disk stands among the snapshots. */
export interface ActivePlace {
  /** Indexes of the snapshots that it equals. */
  readonly equal: ReadonlySet<number>;
  /**
   * The snapshot that it grew from, where it equals none: the one that differs least of those that share a cluster with
   * it. Undefined where none does, several differ as little, or too many tables would have to be read.
   */
  readonly grewFrom: UnsavedChanges | undefined;
}

/**
 * Finds the snapshots that the active disk equals, or else the one that it grew from.
 *
 * @param tablesMax L2 tables that are read at most to find the one that it grew from.
 * @throws QsnapError IMAGE_DAMAGED, READ_FAILED, ABORTED.
 */
export async function placeOfActive(opened: OpenImage, tablesMax: number): Promise<ActivePlace> {
  const { pairs, related } = await collectPairs(opened);
  const equal = await equalToActive(opened, pairs);
  const isTooMuch = 2 * pairs.length > tablesMax;
  if (equal.size > 0 || opened.snapshots.length === 0 || isTooMuch) {
    return { equal, grewFrom: undefined };
  }
  const all = await byDifference(opened, pairs, related);
  const [first, second] = all.filter(({ nearest }) => related.has(nearest.index));
  const isTied = second !== undefined && second.guestClusters === first!.guestClusters;
  return { equal, grewFrom: isTied ? undefined : first };
}

/**
 * The same of an image that may be damaged: a snapshot whose disk can't be read whole is not taken for equal.
 *
 * @returns undefined where the active disk can't be read.
 * @throws QsnapError as `placeOfActive`.
 */
export async function placeOfReadable(
  image: ReadableImage,
  tablesMax: number,
): Promise<ActivePlace | undefined> {
  const { unread } = image;
  if (unread.some(({ structure }) => structure === 'active L1')) return undefined;
  const { equal, grewFrom } = await placeOfActive(image, tablesMax);
  const faulty = unread.filter(({ structure }) => structure === 'snapshot');
  const sound = (index: number): boolean => !faulty.some(({ snapshot }) => snapshot === index);
  return {
    equal: new Set([...equal].filter(sound)),
    grewFrom: faulty.length > 0 ? undefined : grewFrom,
  };
}

/**
 * The snapshots, those that differ least from the active disk first; of two alike the later one.
 *
 * @param related gets the indexes of those that share a cluster with it.
 */
async function byDifference(
  image: OpenImage,
  pairs: readonly TablePair[],
  related?: Set<number>,
): Promise<readonly UnsavedChanges[]> {
  const scan = scanOf(tableFormat(image));
  const differences = new Map(image.snapshots.map(({ index }) => [index, 0]));
  await comparePairs(image, pairs, ({ snapshots }, active, other) => {
    const different = countStoredDifferent(active, other, scan);
    const shares = related !== undefined && anyStoredShared(active, other, scan);
    for (const index of snapshots) {
      differences.set(index, differences.get(index)! + different);
      if (shares) related.add(index);
    }
  });
  const sorted = image.snapshots.toSorted((a, b) => {
    const sizes = Number(sizeDiffers(image, a)) - Number(sizeDiffers(image, b));
    return differences.get(a.index)! - differences.get(b.index)! || sizes || b.index - a.index;
  });
  return sorted.map((nearest) => {
    const guestClusters = differences.get(nearest.index)!;
    return {
      nearest,
      guestClusters,
      guestBytes: guestClusters * image.geometry.clusterBytes,
      diskSizeDiffers: sizeDiffers(image, nearest),
    };
  });
}

/**
 * Indexes of the snapshots whose disk equals the active one, as after a create or an apply as long as the guest
 * writes nothing.
 *
 * ```ts
 * const image = await openImage(device);
 * const equal = await snapshotsEqualToActive(image);
 * for (const { index, name } of image.snapshots) console.log(equal.has(index) ? '*' : ' ', name);
 * ```
 *
 * @throws QsnapError IMAGE_DAMAGED, READ_FAILED, ABORTED.
 */
export async function snapshotsEqualToActive(
  opened: OpenImage,
  { signal }: Stoppable = {},
): Promise<ReadonlySet<number>> {
  const image = stoppableImage(opened, signal, 'the comparison with the snapshots');
  return equalToActive(image, (await collectPairs(image)).pairs);
}

/**
 * Compares pairs of tables until every snapshot is known to be equal or not. Most snapshots differ in their first
 * pair, so the first round reads one pair for each, and later rounds read more for those that are still equal.
 */
async function equalToActive(
  image: OpenImage,
  pairs: readonly TablePair[],
): Promise<ReadonlySet<number>> {
  const sameSize = image.snapshots.filter((snapshot) => !sizeDiffers(image, snapshot));
  const equal = new Set(sameSize.map(({ index }) => index));
  const scan = scanOf(tableFormat(image));
  let open = pairs;
  for (let each = 1; open.length > 0; each *= PAIRS_GROWTH) {
    const { chosen, rest } = choosePairs(open, equal, each);
    await comparePairs(image, chosen, ({ snapshots }, active, other) => {
      if (countStoredDifferent(active, other, scan) === 0) return;
      for (const index of snapshots) equal.delete(index);
    });
    open = rest;
  }
  return equal;
}

/** Up to `each` pairs for every snapshot that may be equal, and what else concerns these. */
function choosePairs(
  open: readonly TablePair[],
  equal: ReadonlySet<number>,
  each: number,
): { readonly chosen: readonly TablePair[]; readonly rest: readonly TablePair[] } {
  const chosen: TablePair[] = [];
  const rest: TablePair[] = [];
  const taken = new Map([...equal].map((index) => [index, 0]));
  for (const pair of open) {
    const concerned = pair.snapshots.filter((index) => equal.has(index));
    if (concerned.length === 0) continue;
    if (concerned.some((index) => taken.get(index)! < each)) {
      for (const index of concerned) taken.set(index, taken.get(index)! + 1);
      chosen.push(pair);
    } else {
      rest.push(pair);
    }
  }
  return { chosen, rest };
}

function sizeDiffers(image: Image, snapshot: Snapshot): boolean {
  return snapshot.diskSizeBytes !== image.header.diskSizeBytes;
}

/** Where the active disk and snapshots have tables of their own, and where they have the same. */
interface CollectedPairs {
  /** In the order of the disk. */
  readonly pairs: readonly TablePair[];
  /** Indexes of the snapshots that have an L2 table of the active disk. */
  readonly related: Set<number>;
}

async function collectPairs(image: OpenImage): Promise<CollectedPairs> {
  const { geometry } = image;
  const format = tableFormat(image);
  // Tables that lie in the file and not over each other are no more to read than the file has.
  const regions = metadataRegions(image, new Float64Array(0));
  claimRegions(regions, geometry.clusterBytes, format.fileClusters);
  const pairs = new Map<string, TablePair>();
  const related = new Set<number>();
  let active: Uint32Array = new Uint32Array(0);
  await walkL1Tables(image, disksOf(image), ({ l1, snapshot }, words) => {
    checkL1Table(snapshot === undefined ? 'active-l1' : 'inactive-l1', l1, words, format);
    const { diskSizeBytes } = snapshot ?? image.header;
    const disk = words.subarray(0, l1EntriesFor(diskSizeBytes, geometry) * 2);
    if (snapshot === undefined) {
      active = disk;
      return;
    }
    for (let at = 0; at < Math.max(active.length, disk.length); at += 2) {
      const ours = offsetOf(active[at] ?? 0, active[at + 1] ?? 0);
      const other = offsetOf(disk[at] ?? 0, disk[at + 1] ?? 0);
      if (ours === other) {
        if (ours !== 0) related.add(snapshot.index);
        continue;
      }
      const key = `${ours}:${other}`;
      const known = pairs.get(key);
      if (known === undefined) pairs.set(key, { active: ours, other, snapshots: [snapshot.index] });
      else known.snapshots.push(snapshot.index);
    }
  });
  return { pairs: [...pairs.values()], related };
}

/** Reads the tables of each pair one after the other, and hands both over as they are stored. */
async function comparePairs(
  image: OpenImage,
  pairs: readonly TablePair[],
  found: (pair: TablePair, active: Uint32Array, other: Uint32Array) => void,
): Promise<void> {
  const { clusterBytes } = image.geometry;
  const tables = pairs.flatMap((pair) => {
    return [pair.active, pair.other].filter((at) => at !== 0).map((at) => ({ pair, at }));
  });
  const offsets = Float64Array.from(tables, ({ at }) => at);
  // A copy: the words of one table are gone when the next is there.
  const before = new Uint32Array(clusterBytes / 4);
  const l2Table = (index: number, words: Uint32Array): void => {
    const { pair } = tables[index]!;
    if (tables[index + 1]?.pair === pair) {
      before.set(words);
      return;
    }
    found(pair, before, words);
    before.fill(0);
  };
  await walkReferences(image, { offsets }, { l2Table });
}
