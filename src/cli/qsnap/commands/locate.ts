import { locateClusters, locateGuest } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { clusterJson, guestJson } from '../present/locate-json.js';
import { clusterLines, guestLines } from '../present/locate-text.js';
import { tellOfImage, withImage, type OpenedImage, type Told } from '../reading.js';
import { selectSnapshot } from '../selection.js';
import { unreadJson } from '../unread.js';

/** Flags of `locate`; one of the first three. */
export interface LocateFlags {
  readonly guest?: number;
  readonly host?: number;
  readonly cluster?: number;
  readonly snapshot?: string;
  readonly all?: boolean;
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
          : tellOfGuest(open, flags.guest, flags),
      ),
    ),
  );
}

async function tellOfGuest(
  { path, image }: OpenedImage,
  guestOffset: number,
  { snapshot, all }: LocateFlags,
): Promise<Told> {
  const readable = image.snapshots.filter(
    ({ index }) => !image.unread.some((one) => one.snapshot === index),
  );
  const lacksActive = image.unread.some(({ structure }) => structure === 'active L1');
  const active = lacksActive ? [] : [undefined];
  const disks =
    all === true
      ? [...active, ...readable]
      : [snapshot === undefined ? undefined : selectSnapshot(image, snapshot)];
  const located = await locateGuest(image, guestOffset, disks);
  const isExternal = image.header.externalDataFile;
  return {
    json: {
      filename: path,
      ...unreadJson(image),
      'guest-offset': guestOffset,
      disks: located.map((one) => guestJson(one, isExternal)),
    },
    lines: located.flatMap((one) => guestLines(one, isExternal)),
    isWhole: located.every(({ l1, l2 }) => (l1?.problem ?? l2?.problem) === undefined),
  };
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
    isWhole: image.unread.length === 0,
  };
}
