import type { OpenImage } from '../../image/image.js';
import type { Stoppable } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { ACTIVE_DISK, type DiskNumber } from '../../refs/disk-sets.js';
import { disksOf } from '../../refs/walk.js';
import { diffDisks } from '../diff/diff-disks.js';
import { diskOfPart, guestPart, isVmState } from './parts.js';
import type { Sharing } from './sharing.js';
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
  /** Other snapshots that may be the parent just as well. */
  readonly alternatives: readonly Snapshot[];
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
  const mapped = [active, ...snapshots].map(({ mappedBytes }) => mappedBytes);
  const descents: Descent[] = [];
  for (const { number } of disksOf(image)) {
    descents.push(await decided(descentOf(number, sharing, mapped), sharing, mapped, options));
  }
  const [ofActive, ...others] = descents;
  const { parent } = ofActive!;
  const changedBytes =
    parent === undefined ? undefined : await differentBytes(image, parent, undefined, options);
  return { active: ofActive!, snapshots: others, changedBytes };
}

/** Of more than so many snapshots that share as much, which is the parent is not looked for in the tables. */
const TIES_MAX = 8;

/**
 * Decides between snapshots that share as much with a disk by what tables tell besides: zero clusters, and parts that
 * only one of the two has. The parent differs least.
 */
async function decided(
  descent: Descent,
  { image, parts, data }: Sharing,
  mapped: readonly number[],
  options: Stoppable,
): Promise<Descent> {
  const { snapshot, parent, alternatives } = descent;
  if (parent === undefined || alternatives.length === 0 || alternatives.length >= TIES_MAX) {
    return descent;
  }
  const found = [];
  for (const one of [parent, ...alternatives]) {
    found.push({ one, bytes: await differentBytes(image, one, snapshot, options) });
  }
  const least = Math.min(...found.map(({ bytes }) => bytes));
  const [first, ...others] = found.filter(({ bytes }) => bytes === least).map(({ one }) => one);
  const disk = snapshot === undefined ? ACTIVE_DISK : snapshot.index + 1;
  const shared = sharedInOrder(disk, { image, parts, data }).with[first!.index + 1]!;
  return {
    snapshot,
    parent: first!,
    certainty: others.length === 0 ? 'told' : 'tied',
    alternatives: others,
    newBytes: mapped[disk]! - shared,
    goneBytes: mapped[first!.index + 1]! - shared,
  };
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

/** A snapshot that a disk may have grown from. */
interface Candidate {
  readonly snapshot: Snapshot;
  readonly shared: number;
  readonly newBytes: number;
  readonly goneBytes: number;
}

function descentOf(disk: DiskNumber, sharing: Sharing, mapped: readonly number[]): Descent {
  const { snapshots } = sharing.image;
  const snapshot = snapshots[disk - 1];
  const before = snapshots.slice(0, snapshot?.index);
  const shared = sharedInOrder(disk, sharing);
  const candidates = before
    .map((one) => {
      const bytes = shared.with[one.index + 1]!;
      const [newBytes, goneBytes] = [mapped[disk]! - bytes, mapped[one.index + 1]! - bytes];
      return { snapshot: one, shared: bytes, newBytes, goneBytes };
    })
    .filter(({ snapshot: one, shared: bytes }) => bytes > 0 && shared.hasAllBefore(one.index + 1));
  const [parent, ...alternatives] = bestOf(candidates);
  if (parent === undefined) {
    const certainty = before.length === 0 ? 'first' : 'untold';
    const none = { parent: undefined, newBytes: mapped[disk]!, goneBytes: 0 };
    return { snapshot, certainty, alternatives: before, ...none };
  }
  return {
    snapshot,
    parent: parent.snapshot,
    certainty: alternatives.length === 0 ? 'told' : 'tied',
    alternatives: alternatives.map((one) => one.snapshot),
    newBytes: parent.newBytes,
    goneBytes: parent.goneBytes,
  };
}

/** Those that share most, the one that was taken last first. */
function bestOf(candidates: readonly Candidate[]): readonly Candidate[] {
  const most = Math.max(...candidates.map(({ shared }) => shared));
  const best = candidates.filter(({ shared }) => shared === most);
  // Of a snapshot with more that is gone than there is new, the guest would have had to give clusters back.
  const withoutDiscard = best.filter(({ newBytes, goneBytes }) => goneBytes <= newBytes);
  const likely = withoutDiscard.length > 0 ? withoutDiscard : best;
  return likely.toSorted((a, b) => isLater(b.snapshot, a.snapshot));
}

/** By date, then by the order of the table. */
function isLater({ date: a, index: i }: Snapshot, { date: b, index: j }: Snapshot): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds || i - j;
}

interface SharedInOrder {
  /** By disk: bytes of guest data that it shares with the disk that is asked about. */
  readonly with: Float64Array;
  /**
   * Whether a snapshot has all that the disk asked about shares with older snapshots. It would have to, if the disk
   * grew from it.
   */
  hasAllBefore(disk: DiskNumber): boolean;
}

function sharedInOrder(
  disk: DiskNumber,
  { image, parts, data }: Pick<Sharing, 'image' | 'parts' | 'data'>,
): SharedInOrder {
  const disks = image.snapshots.length + 1;
  const own = guestPart(disk);
  const hasDisk = parts.fold(false, (so, part) => so || part === own);
  const firsts = parts.fold(disks, (so, part) => {
    const isOther = !isVmState(part) && part !== own && part !== guestPart(ACTIVE_DISK);
    return isOther ? Math.min(so, diskOfPart(part)) : so;
  });
  const shared = data.map((bytes, set) => (hasDisk[set]! ? bytes : 0));
  const byPart = parts.sumsByDisk(shared, 2 * disks);
  // By disk: what is shared with it and with none before it, and what is shared with any before it.
  const beginsAt = new Float64Array(disks + 1);
  for (const [set, bytes] of shared.entries()) beginsAt[firsts[set]!]! += bytes;
  const beginsBefore = new Float64Array(disks + 1);
  for (let i = 1; i <= disks; i++) beginsBefore[i] = beginsBefore[i - 1]! + beginsAt[i - 1]!;
  const withDisk = new Float64Array(disks).map((_, other) => byPart[guestPart(other)]!);
  return {
    with: withDisk,
    hasAllBefore: (other) => withDisk[other]! - beginsAt[other]! === beginsBefore[other]!,
  };
}
