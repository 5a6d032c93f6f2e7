import {
  locateClusters,
  locateGuest,
  openGuestDisk,
  partitionNumbered,
  QsnapError,
  readPartitions,
  type LocatedGuest,
  type Partition,
  type PartitionTable,
  type Snapshot,
} from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import { hexText } from '../../text.js';
import type { Context } from '../context.js';
import { guestOptions, refuseWithoutBacking, type GuestFlags } from '../guest-options.js';
import { clusterJson, guestJson, partitionJson } from '../present/locate-json.js';
import { clusterLines, guestLines, partitionLines } from '../present/locate-text.js';
import { tellOfImage, withImage, type OpenedImage, type Told } from '../reading.js';
import { selectSnapshot } from '../selection.js';
import { unreadJson } from '../unread.js';

/** Flags of `locate`; one of the first three. */
export interface LocateFlags extends GuestFlags {
  readonly guest?: number;
  readonly host?: number;
  readonly cluster?: number;
  readonly snapshot?: string;
  readonly all?: boolean;
  /** True: tell the partition; a number: the guest offset counts from its start. */
  readonly partition?: true | number;
}

/** `qsnap locate IMAGE --guest OFFSET | --host OFFSET | --cluster N` */
export async function locate(
  path: string,
  flags: LocateFlags,
  context: Context,
): Promise<ExitCode> {
  return tellOfImage(path, context, () =>
    context.io.interruptible((signal) =>
      withImage(path, context, (open) =>
        flags.guest === undefined
          ? tellOfCluster(open, flags, signal)
          : tellOfGuest(open, flags.guest, flags, context),
      ),
    ),
  );
}

async function tellOfGuest(
  open: OpenedImage,
  guestOffset: number,
  flags: LocateFlags,
  context: Context,
): Promise<Told> {
  const { path, image } = open;
  const { snapshot, all } = flags;
  const readable = image.snapshots.filter(
    ({ index }) => !image.unread.some((one) => one.snapshot === index),
  );
  const lacksActive = image.unread.some(({ structure }) => structure === 'active L1');
  const active = lacksActive ? [] : [undefined];
  const disks =
    all === true
      ? [...active, ...readable]
      : [snapshot === undefined ? undefined : selectSnapshot(image, snapshot)];
  const located: PlacedGuest[] = [];
  for (const disk of disks) {
    located.push(await locatedOn(open, guestOffset, disk, flags, context));
  }
  const isExternal = image.header.externalDataFile;
  return {
    json: {
      filename: path,
      ...unreadJson(image),
      'guest-offset': guestOffset,
      disks: located.map(({ guest, place }) => ({
        ...guestJson(guest, isExternal),
        ...partitionJson(guest, place),
      })),
    },
    lines: located.flatMap(({ guest, place }) => [
      ...guestLines(guest, isExternal),
      ...partitionLines(guest, place),
    ]),
    isWhole: located.every(
      ({ guest: { l1, l2, isInFile } }) => isInFile && (l1?.problem ?? l2?.problem) === undefined,
    ),
  };
}

/** Where a guest offset of a disk lies, and the partition table of the disk if it was asked for. */
interface PlacedGuest {
  readonly guest: LocatedGuest;
  readonly place: PartitionTable | 'none' | undefined;
}

async function locatedOn(
  { image }: OpenedImage,
  offset: number,
  snapshot: Snapshot | undefined,
  flags: LocateFlags,
  context: Context,
): Promise<PlacedGuest> {
  const { partition } = flags;
  if (partition === undefined) {
    const [guest] = await locateGuest(image, offset, [snapshot]);
    return { guest: guest!, place: undefined };
  }
  refuseWithoutBacking(image, flags);
  const disk = await openGuestDisk(image, { ...guestOptions(flags, context), snapshot });
  try {
    const place = (await readPartitions(disk)) ?? 'none';
    const table = place === 'none' ? undefined : place;
    const at = partition === true ? offset : offsetIn(partitionNumbered(table, partition), offset);
    const [guest] = await locateGuest(image, at, [snapshot]);
    return { guest: guest!, place };
  } finally {
    await disk.close();
  }
}

/** The offset on the disk of one that counts from the start of a partition. @throws QsnapError RANGE_INVALID. */
function offsetIn({ number, start, length }: Partition, offset: number): number {
  if (offset < length) return start + offset;
  throw new QsnapError(
    'RANGE_INVALID',
    `partition ${number} ends before the offset ${hexText(offset)}`,
    { structure: 'partition table', expected: `below ${hexText(length)}` },
  );
}

async function tellOfCluster(
  { path, image, progress }: OpenedImage,
  { host, cluster }: LocateFlags,
  signal: AbortSignal,
): Promise<Told> {
  const { clusterBytes } = image.geometry;
  const offset = host ?? cluster! * clusterBytes;
  progress.phase(`looking for what refers to a cluster of ${path}`);
  const asked = [Math.floor(offset / clusterBytes)];
  const [found] = await locateClusters(image, asked, { signal });
  progress.stop();
  return {
    json: {
      filename: path,
      ...unreadJson(image),
      'host-offset': offset,
      ...clusterJson(found!, image),
    },
    lines: clusterLines(found!, offset, image),
    isWhole: image.unread.length === 0 && found!.refcount !== undefined,
  };
}
