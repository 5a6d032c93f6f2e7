import { QsnapError } from '../errors.js';
import type { SnapshotDate } from '../qcow2/snapshot-table.js';

/** The date of a new snapshot: as given, or now. Milliseconds are all that a `Date` has. */
export function snapshotDate(date: Date | SnapshotDate = new Date()): SnapshotDate {
  if (!(date instanceof Date)) return date;
  const milliseconds = date.getTime();
  if (Number.isNaN(milliseconds)) {
    throw new QsnapError('DATE_INVALID', 'the date of the new snapshot is no date', {
      expected: 'a Date of 1970 to 2106',
    });
  }
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: (milliseconds - seconds * 1000) * 1_000_000 };
}
