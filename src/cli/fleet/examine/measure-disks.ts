import {
  inferAncestry,
  measureUsage,
  type Ancestry,
  type ImageUsage,
  type ReadableImage,
  type Snapshot,
} from '../../../index.js';
import {
  heldTogether,
  printable,
  snapshotEntryBytes,
  type DiskRun,
  type HeldBytes,
} from '../../../internal.js';
import type { DiskRecord, ImageSpace, ShareRecord } from './record.js';

/** What the tables of an image tell of its disks. */
export interface Measured {
  readonly disks: readonly DiskRecord[];
  readonly shares: readonly ShareRecord[];
  /** Undefined where the tables were not walked. */
  readonly space: ImageSpace | undefined;
}

/**
 * Runs of disks that are kept of one image. Snapshots taken one after the other have few; more is what somebody made up,
 * and then a delete of several is foretold too low.
 */
const RUNS_MAX = 200_000;

/**
 * Measures what each disk of an image costs and which snapshot it grew from.
 *
 * @param walks false: only what the snapshot table tells.
 * @throws QsnapError why it can't be read.
 */
export async function measureDisks(image: ReadableImage, walks = true): Promise<Measured> {
  if (!walks) return { disks: disksOf(image), shares: [], space: undefined };
  const [unread] = image.unread;
  if (unread !== undefined) throw unread.reason;
  const usage = await measureUsage(image);
  const ancestry = await inferAncestry(usage);
  const { space } = usage;
  return {
    disks: disksOf(image, usage, ancestry),
    shares: sharesOf(usage),
    space: {
      dataBytes: space.dataBytes,
      metadataBytes: space.metadataBytes,
      freeBytes: space.freeBytes,
      leakedBytes: space.leakedBytes,
      tailBytes: space.tailBytes,
      changedBytes: ancestry.changedBytes,
    },
  };
}

function disksOf(
  image: ReadableImage,
  usage?: ImageUsage,
  ancestry?: Ancestry,
): readonly DiskRecord[] {
  const entryBytes = snapshotEntryBytes(image);
  const disks = [undefined, ...image.snapshots];
  return disks.map((snapshot, position): DiskRecord => {
    const cost = snapshot === undefined ? usage?.active : usage?.snapshots[snapshot.index];
    const descent = snapshot === undefined ? ancestry?.active : ancestry?.snapshots[snapshot.index];
    const { l1, diskSizeBytes } = snapshot ?? {
      l1: image.header.activeL1,
      diskSizeBytes: image.header.diskSizeBytes,
    };
    return {
      position,
      ...(snapshot === undefined ? NO_NAME : nameOf(snapshot)),
      virtualBytes: diskSizeBytes,
      vmStateBytes: snapshot?.vmStateBytes,
      mappedBytes: cost?.mappedBytes,
      exclusiveBytes: cost?.exclusiveBytes,
      sharedBytes: cost?.sharedBytes,
      freedBytes: cost?.ifDeleted?.freedBytes,
      l1Bytes: l1.entries * 8,
      entryBytes: snapshot === undefined ? undefined : entryBytes[snapshot.index],
      parentPosition: descent?.parent === undefined ? undefined : descent.parent.index + 1,
      certainty: descent?.certainty,
      contentSha256: undefined,
    };
  });
}

const NO_NAME = {
  snapshotId: undefined,
  name: undefined,
  takenAt: undefined,
  takenNanoseconds: undefined,
} as const;

function nameOf({
  idBytes,
  nameBytes,
  date,
}: Snapshot): Pick<DiskRecord, 'snapshotId' | 'name' | 'takenAt' | 'takenNanoseconds'> {
  return {
    snapshotId: printable(idBytes),
    name: printable(nameBytes),
    takenAt: date.seconds,
    takenNanoseconds: date.nanoseconds,
  };
}

function sharesOf(usage: ImageUsage): readonly ShareRecord[] {
  const bytes = new Map<string, number>();
  let runs = 0;
  for (const held of heldTogether(usage)) {
    runs += held.disks.length;
    if (runs > RUNS_MAX) break;
    const disks = rangeText(held);
    bytes.set(disks, (bytes.get(disks) ?? 0) + held.bytes);
  }
  return Array.from(bytes, ([disks, held]) => ({ disks, bytes: held }));
}

/** `{[1,3),[5,6)}`: the end of a range is not in it. */
function rangeText({ disks }: HeldBytes): string {
  const text = ([first, last]: DiskRun): string => `[${first},${last + 1})`;
  return `{${disks.map(text).join(',')}}`;
}
