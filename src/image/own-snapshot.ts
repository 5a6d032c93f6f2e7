import { sameBytes } from '../base/text.js';
import { QsnapError } from '../errors.js';
import { describeSnapshot } from '../qcow2/describe-snapshot.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { OpenImage } from './image.js';

/**
 * Finds the entry of a snapshot in the snapshot table of the image as it is now: its position may have changed.
 *
 * @throws QsnapError SNAPSHOT_STALE for a snapshot that the image does not have, or no longer has. Its old L1 table may
 *   hold anything by now.
 */
export function ownSnapshot(
  image: Pick<OpenImage, 'source' | 'snapshots'>,
  snapshot: Snapshot,
): Snapshot {
  const { source, snapshots } = image;
  const there = snapshots[snapshot.index];
  if (there !== undefined && isSame(there, snapshot)) return there;
  const moved = snapshots.filter((entry) => isSame(entry, snapshot));
  if (moved.length === 1) return moved[0]!;
  const shown = describeSnapshot(snapshot);
  throw new QsnapError('SNAPSHOT_STALE', `snapshot ${shown} is not in the image as it is now`, {
    structure: 'snapshot table',
    file: source.label,
    expected: 'an entry of `snapshots` of the image as it was opened last',
    actual: `an entry that was read at byte ${snapshot.at}`,
    hint: 'the snapshot was deleted or changed, or is of another image: take it from `snapshots` again',
  });
}

/** Whether two entries are the same but for where in the table they lie. */
function isSame(a: Snapshot, b: Snapshot): boolean {
  return (
    a.l1.at === b.l1.at &&
    a.l1.entries === b.l1.entries &&
    sameBytes(a.idBytes, b.idBytes) &&
    sameBytes(a.nameBytes, b.nameBytes) &&
    a.date.seconds === b.date.seconds &&
    a.date.nanoseconds === b.date.nanoseconds &&
    a.vmClockNanoseconds === b.vmClockNanoseconds &&
    a.vmStateBytes32 === b.vmStateBytes32 &&
    sameBytes(a.extraData, b.extraData)
  );
}
