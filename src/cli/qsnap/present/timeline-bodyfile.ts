import type { SnapshotDate } from '../../../index.js';
import { isRead, objectName, type AllTimelines, type ImageTimeline } from './timeline-rows.js';

/** What the file is, as The Sleuth Kit writes it: its virtual files stand for snapshots. */
const MODES = { image: 'r/r---------', snapshot: 'v/v---------' } as const;

const NO_TIME = -1;

/**
 * A body file as `mactime` of The Sleuth Kit 3 and later reads it: a line for each image and each snapshot. Its fields are
 * MD5|name|inode|mode|UID|GID|size|atime|mtime|ctime|crtime, in whole seconds; -1 is no time, where 0 would be 1970. A snapshot has its date as
 * the time of its making, and the offset of its table entry for an inode.
 */
export function timelineBodyfile({ results }: AllTimelines): string {
  return results.filter(isRead).flatMap(linesOf).join('');
}

function linesOf({ path, image, hostDates }: ImageTimeline): string[] {
  const { modified, changed, born } = hostDates;
  const line = (
    name: string,
    { inode, mode, size }: { inode: number; mode: string; size: number },
    dates: readonly (SnapshotDate | undefined)[],
  ): string => {
    // A name must not end its field.
    const fields = ['0', name.replaceAll('|', String.raw`\x7c`), inode, mode, 0, 0, size, NO_TIME];
    return `${[...fields, ...dates.map(secondsOf)].join('|')}\n`;
  };
  const hasDates = modified !== undefined || changed !== undefined || born !== undefined;
  const file = { inode: 0, mode: MODES.image, size: image.fileSizeBytes };
  return [
    ...(hasDates ? [line(objectName(path, undefined), file, [modified, changed, born])] : []),
    ...image.snapshots.map((snapshot) => {
      const { at: inode, diskSizeBytes: size, date } = snapshot;
      const facts = { inode, mode: MODES.snapshot, size };
      return line(objectName(path, snapshot), facts, [undefined, undefined, date]);
    }),
  ];
}

/** Nanoseconds past a second, as damaged tables have them, are carried over. */
function secondsOf(date: SnapshotDate | undefined): number {
  return date === undefined ? NO_TIME : date.seconds + Math.floor(date.nanoseconds / 1e9);
}
