import type { Image } from '../image/image.js';
import { checkL1Table, visitL1Tables } from '../image/l1-tables.js';
import { claimRegions, metadataRegions } from '../image/regions.js';
import { walkTables } from '../image/walk.js';
import { tableFormat } from '../image/format.js';
import { offsetOf } from '../l1l2/entry.js';
import { countDifferent, scanOf, type Scan } from '../l1l2/scan.js';
import { l1EntriesFor } from '../qcow2/geometry.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';

/** How the active disk differs from the snapshot that is most like it. */
export interface UnsavedChanges {
  readonly nearest: Snapshot;
  /** Guest clusters that are mapped otherwise than in `nearest`. */
  readonly guestClusters: number;
  readonly guestBytes: number;
  readonly diskSizeDiffers: boolean;
}

/** Two L2 tables that map the same guest range, host offsets; 0 for none. */
interface TablePair {
  readonly active: number;
  readonly other: number;
}

/** Guest clusters that differ from the active disk, by snapshot index. */
type Differences = ReadonlyMap<number, number>;

/**
 * What would be lost if the active disk went away: undefined when some snapshot has the very same
 * disk. Judged by the tables alone: two clusters with the same bytes count as different.
 *
 * Every L2 table is read at most once for each place where it differs from the active one.
 */
export async function computeUnsavedChanges(image: Image): Promise<UnsavedChanges | undefined> {
  const differences = await computeDifferences(image);
  const order = image.snapshots.toSorted((a, b) => {
    const sizes = Number(sizeDiffers(image, a)) - Number(sizeDiffers(image, b));
    return differences.get(a.index)! - differences.get(b.index)! || sizes || b.index - a.index;
  });
  const [nearest] = order;
  if (nearest === undefined) return undefined;
  const guestClusters = differences.get(nearest.index)!;
  const diskSizeDiffers = sizeDiffers(image, nearest);
  if (guestClusters === 0 && !diskSizeDiffers) return undefined;
  const guestBytes = guestClusters * image.geometry.clusterBytes;
  return { nearest, guestClusters, guestBytes, diskSizeDiffers };
}

/**
 * Indexes of the snapshots whose disk is the active one: what was applied or taken last, as long as
 * nothing was written since.
 */
export async function snapshotsEqualToActive(image: Image): Promise<ReadonlySet<number>> {
  const differences = await computeDifferences(image);
  const equal = image.snapshots.filter((snapshot) => {
    return differences.get(snapshot.index) === 0 && !sizeDiffers(image, snapshot);
  });
  return new Set(equal.map(({ index }) => index));
}

function sizeDiffers(image: Image, snapshot: Snapshot): boolean {
  return snapshot.diskSizeBytes !== image.header.diskSizeBytes;
}

async function computeDifferences(image: Image): Promise<Differences> {
  const scan = scanOf(tableFormat(image));
  const users = await collectPairs(image, scan);
  const differences = new Map(image.snapshots.map(({ index }) => [index, 0]));
  const add = (key: string, different: number): void => {
    for (const index of users.get(key)!.snapshots) {
      differences.set(index, differences.get(index)! + different);
    }
  };
  const both = [...users.values()].filter(({ pair }) => pair.active !== 0 && pair.other !== 0);
  const single = [...users.values()].filter(({ pair }) => pair.active === 0 || pair.other === 0);
  await comparePairs(
    image,
    scan,
    both.map(({ pair }) => pair),
    add,
  );
  const zeros = new Uint32Array(image.geometry.clusterBytes / 4);
  const offsets = Float64Array.from(single, ({ pair }) => pair.active + pair.other);
  await walkTables(image.source, offsets, image.geometry.clusterBytes, (index, words) => {
    add(keyOf(single[index]!.pair), countDifferent(words, zeros, scan));
  });
  return differences;
}

/** Pairs of different tables, each with the snapshots in which the pair occurs (once each time). */
async function collectPairs(
  image: Image,
  scan: Scan,
): Promise<Map<string, { pair: TablePair; snapshots: number[] }>> {
  const { header, snapshots, geometry } = image;
  // Tables that lie in the file and not over each other are no more to read than the file has.
  const regions = metadataRegions(image, new Float64Array(0));
  claimRegions(regions, geometry.clusterBytes, scan.format.fileClusters);
  const users = new Map<string, { pair: TablePair; snapshots: number[] }>();
  let active: Uint32Array = new Uint32Array(0);
  const refs = [header.activeL1, ...snapshots.map(({ l1 }) => l1)];
  await visitL1Tables(image.source, refs, (i, words) => {
    checkL1Table(i === 0 ? 'active-l1' : 'inactive-l1', refs[i]!, words, scan.format);
    const diskSizeBytes = i === 0 ? header.diskSizeBytes : snapshots[i - 1]!.diskSizeBytes;
    const disk = words.subarray(0, l1EntriesFor(diskSizeBytes, geometry) * 2);
    if (i === 0) {
      active = disk;
      return;
    }
    for (let at = 0; at < Math.max(active.length, disk.length); at += 2) {
      const pair = {
        active: offsetOf(active[at] ?? 0, active[at + 1] ?? 0),
        other: offsetOf(disk[at] ?? 0, disk[at + 1] ?? 0),
      };
      if (pair.active === pair.other) continue;
      const key = keyOf(pair);
      const known = users.get(key);
      if (known === undefined) users.set(key, { pair, snapshots: [i - 1] });
      else known.snapshots.push(i - 1);
    }
  });
  return users;
}

function keyOf(pair: TablePair): string {
  return `${pair.active}:${pair.other}`;
}

/** Reads the tables of each pair one after the other; a batch never splits a pair. */
async function comparePairs(
  image: Image,
  scan: Scan,
  pairs: readonly TablePair[],
  add: (key: string, different: number) => void,
): Promise<void> {
  const offsets = Float64Array.from(pairs.flatMap(({ active, other }) => [active, other]));
  let active: Uint32Array = new Uint32Array(0);
  await walkTables(image.source, offsets, image.geometry.clusterBytes, (index, words) => {
    if (index % 2 === 0) active = words;
    else add(keyOf(pairs[(index - 1) / 2]!), countDifferent(active, words, scan));
  });
}
