import type { OpenImage } from '../../image/image.js';
import type { Stoppable } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { ACTIVE_DISK, type DiskNumber } from '../../refs/disk-sets.js';
import { disksOf } from '../../refs/walk.js';
import { diffDisks } from '../diff/diff-disks.js';
import { sharedInOrder, type SharedInOrder } from './in-order.js';
import type { ImageUsage } from './usage.js';

/**
 * How sure it is which snapshot a disk grew from.
 *
 * - `told`: only one snapshot has all that the disk has from before, or differs least from it.
 * - `tied`: several do; the one that was taken last counts as the parent.
 * - `untold`: the disk shares nothing with a snapshot from before, and there are such snapshots.
 * - `first`: there is no snapshot from before.
 */
export type Certainty = 'told' | 'tied' | 'untold' | 'first';

/** Which snapshot a disk grew from, inferred from the clusters that both have. */
export interface Descent {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly parent: Snapshot | undefined;
  readonly certainty: Certainty;
  /** Other snapshots that may be the parent just as well, those that were taken last first; at most eight. */
  readonly alternatives: readonly Snapshot[];
  /** How many more there are. */
  readonly moreAlternatives: number;
  /** Guest data that the disk has and the parent has not; all of it without a parent. Whole clusters. */
  readonly newBytes: number;
  /** Guest data that the parent has and the disk has not. Whole clusters. */
  readonly goneBytes: number;
}

/** Which snapshot each disk of an image grew from. */
export interface Ancestry {
  /** Its parent is the snapshot that was applied or created last. */
  readonly active: Descent;
  /** In the order of the snapshot table. */
  readonly snapshots: readonly Descent[];
  /** Guest bytes in which the active disk differs from its parent, by the tables; undefined without a parent. */
  readonly changedBytes: number | undefined;
}

/**
 * Infers which snapshot each disk grew from: an image does not record it. A guest never writes where a snapshot has
 * its data, so that what two disks share came from one write, and every disk between the two has it, too.
 *
 * ```
 * order in table   1     2     3
 * grew as          A ──► B           B has two clusters of A and a new one
 *                  └──────────► C    C has two clusters of A, of which B replaced one: C is no child of B
 * ```
 *
 * What can't be seen: a disk that grew from a snapshot that is deleted by now looks like a child of the snapshot that
 * shares most with it, be that an ancestor or another child.
 *
 * ```ts
 * const { active, snapshots } = await inferAncestry(await measureUsage(await openImage(device)));
 * for (const { snapshot, parent, certainty } of snapshots) {
 *   console.log(snapshot?.name, 'grew from', parent?.name ?? 'none', certainty);
 * }
 * console.log('applied last:', active.parent?.name);
 * ```
 *
 * @throws QsnapError IMAGE_CHANGED, READ_FAILED, ABORTED.
 * Ours: snapshots are taken to be in the table in the order in which they were made, as QEMU and qsnap add them.
 */
export async function inferAncestry(
  { sharing, active, snapshots }: Omit<ImageUsage, 'space'>,
  options: Stoppable = {},
): Promise<Ancestry> {
  const { image } = sharing;
  const known: Known = {
    snapshots: image.snapshots,
    latestFirst: latestFirst(image.snapshots),
    mapped: Float64Array.from([active, ...snapshots], ({ mappedBytes }) => mappedBytes),
  };
  const shared = sharedInOrder(sharing);
  const descents: Descent[] = [];
  for (const { number, snapshot } of disksOf(image)) {
    const descent = descentOf(snapshot, shared(number), known);
    descents.push(await decided(descent, image, known, options));
  }
  const [ofActive, ...others] = descents;
  const { parent } = ofActive!;
  const changedBytes =
    parent === undefined ? undefined : await differentBytes(image, parent, undefined, options);
  return { active: ofActive!, snapshots: others, changedBytes };
}

/** What is asked of all disks for each of them: 10,000 snapshots are 50 million pairs. */
interface Known {
  readonly snapshots: readonly Snapshot[];
  /** Positions in the snapshot table, by date, those that were taken last first. */
  readonly latestFirst: Uint32Array;
  /** By disk: bytes of its guest data. */
  readonly mapped: Float64Array;
}

/**
 * Of more than so many snapshots that share as much, which is the parent is not looked for in the tables; and so many
 * alternatives are named. A thousand snapshots of one state would have half a million.
 */
const TIES_MAX = 8;

/**
 * Decides between snapshots that share as much with a disk by what tables tell besides: zero clusters, and parts that
 * only one of the two has. The parent differs least.
 */
async function decided(
  descent: Descent,
  image: OpenImage,
  known: Known,
  options: Stoppable,
): Promise<Descent> {
  const { snapshot, parent, alternatives, newBytes } = descent;
  if (parent === undefined || alternatives.length === 0 || alternatives.length >= TIES_MAX) {
    return descent;
  }
  const found = [];
  for (const one of [parent, ...alternatives]) {
    found.push({ one, bytes: await differentBytes(image, one, snapshot, options) });
  }
  const least = Math.min(...found.map(({ bytes }) => bytes));
  const nearest = found.filter(({ bytes }) => bytes === least).map(({ one }) => one.index);
  return grownFrom(
    snapshot,
    Uint32Array.from(nearest),
    known.mapped[numberOf(snapshot)]! - newBytes,
    known,
  );
}

/** Guest bytes in which two disks differ, as far as tables tell. */
async function differentBytes(
  image: OpenImage,
  a: Snapshot,
  b: Snapshot | undefined,
  options: Stoppable,
): Promise<number> {
  let bytes = 0;
  for await (const ranges of diffDisks(image, a, b, options)) {
    for (const { length } of ranges) bytes += length;
  }
  return bytes;
}

/** What shared clusters tell of one disk. */
function descentOf(snapshot: Snapshot | undefined, shared: SharedInOrder, known: Known): Descent {
  const { snapshots, latestFirst, mapped } = known;
  const own = mapped[numberOf(snapshot)]!;
  const before = snapshot?.index ?? snapshots.length;
  let most = 0;
  for (let index = 0; index < before; index++) {
    if (shared.hasAllBefore(index + 1)) most = Math.max(most, shared.with[index + 1]!);
  }
  if (most === 0) {
    const certainty = before === 0 ? 'first' : 'untold';
    const others = latestFirst.filter((index) => index < before);
    const none = { parent: undefined, newBytes: own, goneBytes: 0 };
    return { snapshot, certainty, ...none, ...named(others, snapshots) };
  }
  const best = latestFirst.filter((index) => {
    return index < before && shared.with[index + 1] === most && shared.hasAllBefore(index + 1);
  });
  // Of a snapshot with more that is gone than there is new, the guest would have had to give clusters back.
  const withoutDiscard = best.filter((index) => mapped[index + 1]! <= own);
  return grownFrom(snapshot, withoutDiscard.length > 0 ? withoutDiscard : best, most, known);
}

/**
 * @param likely positions of the snapshots that it may have grown from; the first counts as the parent.
 * @param sharedBytes what it shares with each of them.
 */
function grownFrom(
  snapshot: Snapshot | undefined,
  likely: Uint32Array,
  sharedBytes: number,
  { snapshots, mapped }: Known,
): Descent {
  const [parent, others] = [likely[0]!, likely.subarray(1)];
  return {
    snapshot,
    parent: snapshots[parent],
    certainty: others.length === 0 ? 'told' : 'tied',
    ...named(others, snapshots),
    newBytes: mapped[numberOf(snapshot)]! - sharedBytes,
    goneBytes: mapped[parent + 1]! - sharedBytes,
  };
}

function named(
  others: Uint32Array,
  snapshots: readonly Snapshot[],
): Pick<Descent, 'alternatives' | 'moreAlternatives'> {
  const alternatives = Array.from(others.subarray(0, TIES_MAX), (index) => snapshots[index]!);
  return { alternatives, moreAlternatives: others.length - alternatives.length };
}

const numberOf = (snapshot: Snapshot | undefined): DiskNumber =>
  snapshot === undefined ? ACTIVE_DISK : snapshot.index + 1;

/** By date, then by the order of the table. */
function latestFirst(snapshots: readonly Snapshot[]): Uint32Array {
  const ordered = snapshots.toSorted(({ date: a, index: i }, { date: b, index: j }) => {
    return b.seconds - a.seconds || b.nanoseconds - a.nanoseconds || j - i;
  });
  return Uint32Array.from(ordered, ({ index }) => index);
}
