/** VM state that disks map behind their guest data, whatever the snapshot table says of it. */
import { clustersToHold } from '../base/units.js';
import { swapWords } from '../base/words.js';
import type { OpenImage } from '../image/image.js';
import { ownSnapshot } from '../image/own-snapshot.js';
import { tableFormat } from '../image/table-format.js';
import { countDataEntries } from '../l1l2/data-entries.js';
import { judgeL1Entry, offsetOf } from '../l1l2/entry.js';
import { l1EntriesFor } from '../qcow2/geometry.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { visitL1Tables } from './l1-tables.js';
import { disksOf, walkReferences, type WalkedDisk } from './walk.js';

/** What a disk maps behind its guest data. */
export interface MappedVmState {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  /** Byte offset in the file of its first L1 entry behind the guest data. */
  readonly at: number;
  /** Bytes of the clusters with data. */
  readonly dataBytes: number;
  /** Those of them that lie behind the VM state that the snapshot table tells of; of the active disk, all. */
  readonly behindBytes: number;
}

/** The L1 entries of a disk behind its guest data. */
interface Tail {
  readonly disk: WalkedDisk;
  readonly at: number;
  readonly entries: number;
  /** Clusters that the told VM state takes. */
  readonly toldClusters: number;
}

/**
 * Tells which disks map data behind their guest data. QEMU maps the VM state of a snapshot there. It leaves that in the
 * active disk when a snapshot is applied, and later snapshots inherit it, though the table tells of none.
 *
 * ```ts
 * const image = await openImage(device);
 * for (const { snapshot, behindBytes } of await findVmState(image)) {
 *   if (behindBytes > 0) console.log(snapshot?.name ?? 'the active disk', behindBytes);
 * }
 * ```
 *
 * Entries that can't be right are passed over: a check tells them.
 *
 * @param snapshots of the image, whose disks are looked at; without it all disks are.
 * @returns a disk that maps none is left out.
 * @throws QsnapError READ_FAILED, LIMIT_EXCEEDED, SNAPSHOT_STALE.
 */
export function findVmState(
  image: OpenImage,
  snapshots?: readonly Snapshot[],
): Promise<readonly MappedVmState[]> {
  return findBehind(image, snapshots, ({ vmStateBytes }) => vmStateBytes);
}

/** As `findVmState`, but `toldBytes` tells how much VM state each snapshot has. */
export async function findBehind(
  image: OpenImage,
  snapshots: readonly Snapshot[] | undefined,
  toldBytes: (snapshot: Snapshot) => number,
): Promise<readonly MappedVmState[]> {
  const format = tableFormat(image);
  const indexes = snapshots && new Set(snapshots.map((one) => ownSnapshot(image, one).index));
  const disks = disksOf(image).filter(
    ({ snapshot }) => indexes?.has(snapshot?.index ?? -1) ?? true,
  );
  const tails = disks
    .map((disk) => tailOf(image, disk, toldBytes))
    .filter(({ entries }) => entries > 0);
  /** By the host offsets of L2 tables: entries with data. */
  const dataOf = new Map<number, number>();
  /** By host offsets of L2 tables: the disks whose told VM state ends in it. */
  const ends = new Map<number, Set<number>>();
  await visitTails(image, tails, (tail, index, offset) => {
    dataOf.set(offset, 0);
    const endsAt = tail.toldClusters - index * image.geometry.l2Entries;
    if (endsAt <= 0 || endsAt >= image.geometry.l2Entries) return;
    const there = ends.get(offset);
    if (there === undefined) ends.set(offset, new Set([endsAt]));
    else there.add(endsAt);
  });
  if (dataOf.size === 0) return [];
  /** By table and entry: entries with data from there on. */
  const dataBehind = new Map<string, number>();
  const offsets = Float64Array.from(dataOf.keys()).sort();
  await walkReferences(
    image,
    { offsets },
    {
      l2Table: (index, stored) => {
        swapWords(stored);
        const offset = offsets[index]!;
        dataOf.set(offset, countDataEntries(stored, 0, format));
        for (const from of ends.get(offset) ?? []) {
          dataBehind.set(`${offset} ${from}`, countDataEntries(stored, from, format));
        }
      },
    },
  );
  const found = new Map<Tail, { data: number; behind: number }>();
  await visitTails(image, tails, (tail, index, offset) => {
    const counts = found.get(tail) ?? { data: 0, behind: 0 };
    found.set(tail, counts);
    const data = dataOf.get(offset)!;
    const endsAt = tail.toldClusters - index * image.geometry.l2Entries;
    counts.data += data;
    counts.behind += endsAt <= 0 ? data : (dataBehind.get(`${offset} ${endsAt}`) ?? 0);
  });
  const { clusterBytes } = image.geometry;
  return [...found]
    .filter(([, { data }]) => data > 0)
    .map(([{ disk, at }, { data, behind }]) => ({
      snapshot: disk.snapshot,
      at,
      dataBytes: data * clusterBytes,
      behindBytes: behind * clusterBytes,
    }));
}

function tailOf(
  { header, geometry }: OpenImage,
  disk: WalkedDisk,
  toldBytes: (snapshot: Snapshot) => number,
): Tail {
  const { l1, snapshot } = disk;
  const first = l1EntriesFor(snapshot?.diskSizeBytes ?? header.diskSizeBytes, geometry);
  return {
    disk,
    at: l1.at + first * 8,
    entries: l1.entries - first,
    toldClusters: clustersToHold(snapshot ? toldBytes(snapshot) : 0, geometry.clusterBytes),
  };
}

/** Hands over the L2 tables of the tails: how many entries came before in the tail, and the host offset. */
async function visitTails(
  image: OpenImage,
  tails: readonly Tail[],
  visit: (tail: Tail, index: number, offset: number) => void,
): Promise<void> {
  const format = tableFormat(image);
  await visitL1Tables(image.source, tails, (position, words) => {
    for (let i = 0; i < words.length; i += 2) {
      const [high, low] = [words[i]!, words[i + 1]!];
      const offset = offsetOf(high, low);
      if (offset === 0 || judgeL1Entry(high, low, format) !== undefined) continue;
      visit(tails[position]!, i / 2, offset);
    }
  });
}
