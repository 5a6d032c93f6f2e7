import type { Extent, GuestDisk, Loss } from '../../read/guest/disk.js';
import { PAST_THE_END } from '../../read/guest/wrong-entry.js';
import { ClusterSet } from '../../refcount/cluster-set.js';

/**
 * What became of a stretch of a disk that was copied past damage: `good` is what the image says;
 * `zero-filled` could not be read; `doubtful` was read, and may be somebody else's or not all of it.
 */
export type SalvageState = 'good' | 'zero-filled' | 'doubtful';

/** A stretch of a disk that was copied past damage. */
export interface SalvagedRange {
  /** Guest offset in bytes. */
  readonly start: number;
  readonly length: number;
  readonly state: SalvageState;
  /** In a few words; undefined where it is `good`. */
  readonly reason: string | undefined;
}

/** Takes losses in the order in which they are met; neighbours of one reason become one. */
export class LossList {
  readonly #losses: Loss[] = [];

  add(loss: Loss): void {
    const last = this.#losses.at(-1);
    const goesOn = last?.reason === loss.reason && last.start + last.length === loss.start;
    if (goesOn) this.#losses.splice(-1, 1, { ...last, length: last.length + loss.length });
    else this.#losses.push(loss);
  }

  /** In the order of the disk. */
  sorted(): readonly Loss[] {
    return this.#losses.toSorted((a, b) => a.start - b.start);
  }
}

/**
 * What became of each part of a disk, ascending and without gaps; neighbours differ.
 *
 * Memory: 2 bits for each host cluster of the file.
 *
 * @param disk opened to tell unreadable extents.
 * @param losses what reads of its data met, in the order of the disk.
 * @param fileBytes length of the file that the image is in.
 */
export async function* salvagedRanges(
  disk: GuestDisk,
  losses: readonly Loss[],
  fileBytes: number,
): AsyncGenerator<SalvagedRange> {
  const claimed = await claimedTwice(disk, fileBytes);
  const diskBytes = await disk.sizeBytes();
  const joiner = new Joiner(disk.clusterBytes);
  let nextLoss = 0;
  for await (const extents of disk.extents(0, diskBytes)) {
    for (const extent of extents) {
      const end = extent.start + extent.length;
      while (nextLoss < losses.length && endOf(losses[nextLoss]!) <= extent.start) nextLoss += 1;
      for (const range of withLosses(rangesOf(extent, claimed, disk), losses, nextLoss, end)) {
        yield* joiner.add(range);
      }
    }
  }
  if (joiner.open !== undefined) yield joiner.open;
}

/** Makes one of neighbours that are alike, and hands on what is complete. */
class Joiner {
  open: SalvagedRange | undefined;
  readonly #clusterBytes: number;

  constructor(clusterBytes: number) {
    this.#clusterBytes = clusterBytes;
  }

  *add(range: SalvagedRange): Generator<SalvagedRange> {
    yield* this.#doubtBefore(range);
    const { open } = this;
    if (open?.state === range.state && open.reason === range.reason) {
      this.open = { ...open, length: open.length + range.length };
      return;
    }
    if (open !== undefined) yield open;
    this.open = range;
  }

  /** Where the file ends inside a cluster, what it has of the cluster is doubtful. */
  *#doubtBefore({ start, reason }: SalvagedRange): Generator<SalvagedRange> {
    const { open } = this;
    const inCluster = this.#clusterBytes === 0 ? 0 : start % this.#clusterBytes;
    if (open?.state !== 'good' || reason !== PAST_THE_END || inCluster === 0) return;
    const from = Math.max(open.start, start - inCluster);
    if (from > open.start) yield { ...open, length: from - open.start };
    const doubt = 'only a part of its cluster is in the file';
    this.open = { start: from, length: start - from, state: 'doubtful', reason: doubt };
  }
}

function endOf({ start, length }: { readonly start: number; readonly length: number }): number {
  return start + length;
}

/** Host clusters that the disk has at two places; none where they need not lie in the image's file. */
async function claimedTwice(disk: GuestDisk, fileBytes: number): Promise<ClusterSet | undefined> {
  const { clusterBytes } = disk;
  if (clusterBytes === 0 || disk.externalData) return undefined;
  const clusters = Math.ceil(fileBytes / clusterBytes);
  const [once, twice] = [new ClusterSet(clusters), new ClusterSet(clusters)];
  let last = -1;
  let lastGuest = -1;
  for await (const extents of disk.extents(0, await disk.sizeBytes())) {
    for (const { kind, depth, at, start, length } of extents) {
      if (kind !== 'data' || depth !== 0 || at === undefined) continue;
      for (let done = 0; done < length;) {
        const cluster = Math.floor((at + done) / clusterBytes);
        const guest = Math.floor((start + done) / clusterBytes);
        // Subclusters of one cluster come one by one.
        const isAgain = once.has(cluster) && !(cluster === last && guest === lastGuest);
        (isAgain ? twice : once).add(cluster);
        [last, lastGuest] = [cluster, guest];
        done += clusterBytes - ((at + done) % clusterBytes);
      }
    }
  }
  return twice.next(0) < clusters ? twice : undefined;
}

/** An extent by what is known of it before its data is read. */
function* rangesOf(
  { kind, depth, start, length, at, reason }: Extent,
  claimed: ClusterSet | undefined,
  { clusterBytes }: GuestDisk,
): Generator<SalvagedRange> {
  if (kind === 'unreadable') {
    yield { start, length, state: 'zero-filled', reason };
    return;
  }
  if (claimed === undefined || kind !== 'data' || depth !== 0 || at === undefined) {
    yield { start, length, state: 'good', reason: undefined };
    return;
  }
  for (let done = 0; done < length;) {
    const bytes = Math.min(length - done, clusterBytes - ((at + done) % clusterBytes));
    const isShared = claimed.has(Math.floor((at + done) / clusterBytes));
    const how = isShared
      ? ({
          state: 'doubtful',
          reason: 'its host cluster is at another place of the disk, too',
        } as const)
      : ({ state: 'good', reason: undefined } as const);
    yield { start: start + done, length: bytes, ...how };
    done += bytes;
  }
}

/** The ranges, but for what reads could not get. */
function* withLosses(
  ranges: Iterable<SalvagedRange>,
  losses: readonly Loss[],
  first: number,
  end: number,
): Generator<SalvagedRange> {
  for (const range of ranges) {
    let from = range.start;
    for (let i = first; i < losses.length && losses[i]!.start < end; i++) {
      const loss = losses[i]!;
      const lossStart = Math.max(from, loss.start);
      const lossEnd = Math.min(endOf(range), endOf(loss));
      if (lossEnd <= lossStart) continue;
      if (lossStart > from) yield { ...range, start: from, length: lossStart - from };
      const { reason } = range.state === 'zero-filled' ? range : loss;
      yield { start: lossStart, length: lossEnd - lossStart, state: 'zero-filled', reason };
      from = lossEnd;
    }
    if (from < endOf(range)) yield { ...range, start: from, length: endOf(range) - from };
  }
}
