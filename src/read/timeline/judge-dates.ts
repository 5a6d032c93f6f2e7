import { hexOfBytes } from '../../base/text.js';
import type { Snapshot, SnapshotDate } from '../../qcow2/snapshot-table.js';
import type { Descent } from '../sharing/ancestry.js';
import { anomaly, type Anomaly } from './anomaly.js';
import { compareDates, epochNanoseconds } from './moments.js';

/**
 * A snapshot's date is taken before the file is written, but file systems keep moments as coarse as 2 s (FAT), and a
 * machine's clock is read at other moments than its date.
 */
const SLACK_NANOSECONDS = 2_000_000_000n;

/**
 * What is odd about the snapshots themselves, in the order of the table; of each in the order of the codes.
 *
 * @param modified when the file was last written; undefined: not known.
 */
export function judgeEntries(
  snapshots: readonly Snapshot[],
  modified: SnapshotDate | undefined,
): readonly Anomaly[] {
  const latest = latestOfLowerIds(snapshots);
  const ids = new Map<string, Snapshot>();
  const names = new Map<string, Snapshot>();
  let highest: Snapshot | undefined;
  return snapshots.flatMap((snapshot) => {
    const { date } = snapshot;
    const found: Anomaly[] = [];
    if (date.seconds === 0 && date.nanoseconds === 0) found.push(anomaly('DATE_ZERO', snapshot));
    if (date.nanoseconds >= 1e9) found.push(anomaly('NANOSECONDS_INVALID', snapshot));
    if (modified !== undefined) {
      const off = epochNanoseconds(date) - epochNanoseconds(modified);
      if (off > SLACK_NANOSECONDS) {
        found.push(anomaly('DATE_AFTER_FILE', snapshot, undefined, off));
      }
    }
    const lower = latest.get(snapshot);
    if (lower !== undefined && compareDates(date, lower.date) < 0) {
      found.push(anomaly('DATE_BEFORE_LOWER_ID', snapshot, lower, between(snapshot, lower)));
    }
    const sameId = firstOf(ids, snapshot.idBytes, snapshot);
    if (sameId !== undefined) found.push(anomaly('ID_REPEATED', snapshot, sameId));
    const id = idNumber(snapshot);
    if (id !== undefined) {
      const before = highest === undefined ? undefined : idNumber(highest);
      if (before !== undefined && id < before) {
        found.push(anomaly('ID_NOT_RISING', snapshot, highest));
      } else highest = snapshot;
    }
    const sameName = firstOf(names, snapshot.nameBytes, snapshot);
    if (sameName !== undefined) found.push(anomaly('NAME_REPEATED', snapshot, sameName));
    return found;
  });
}

/** What is odd about snapshots beside those that they grew from. */
export function judgeDescents(descents: readonly Descent[]): readonly Anomaly[] {
  return descents.flatMap((descent) => {
    const { snapshot, parent } = descent;
    if (snapshot === undefined || parent === undefined) return [];
    return [...dateBeforeParent(descent, snapshot), ...clockOf(descent, snapshot, parent)];
  });
}

/** Where several snapshots may be the parent, each of them has to be younger. */
function dateBeforeParent(
  { parent, alternatives, moreAlternatives }: Descent,
  snapshot: Snapshot,
): readonly Anomaly[] {
  if (moreAlternatives > 0) return [];
  const likely = [parent!, ...alternatives];
  if (likely.some((one) => compareDates(snapshot.date, one.date) >= 0)) return [];
  const oldest = likely.reduce((a, b) => (compareDates(b.date, a.date) < 0 ? b : a));
  return [anomaly('DATE_BEFORE_PARENT', snapshot, oldest, between(snapshot, oldest))];
}

/**
 * A guest that went on from the parent has a clock that is ahead by the time it ran; one that was started since has all
 * of its clock from then. Neither can be more than what passed. A clock of 0 tells nothing: qemu-img writes that.
 */
function clockOf({ certainty }: Descent, snapshot: Snapshot, parent: Snapshot): readonly Anomaly[] {
  const clock = snapshot.vmClockNanoseconds;
  if (clock === 0n || certainty !== 'told') return [];
  const passed = -between(snapshot, parent);
  const before = parent.vmClockNanoseconds;
  const ran = clock >= before ? clock - before : clock;
  const found: Anomaly[] = [];
  // Dates that run backwards are told of already.
  if (passed >= 0n && ran > passed + SLACK_NANOSECONDS) {
    found.push(anomaly('VM_CLOCK_TOO_FAST', snapshot, parent, ran - passed));
  }
  if (clock < before) found.push(anomaly('VM_CLOCK_BACK', snapshot, parent, before - clock));
  return found;
}

/** How much later `other` is dated. */
function between(snapshot: Snapshot, other: Snapshot): bigint {
  return epochNanoseconds(other.date) - epochNanoseconds(snapshot.date);
}

/** Of each snapshot with a number for an id: the latest one of those with lower ids. */
function latestOfLowerIds(snapshots: readonly Snapshot[]): ReadonlyMap<Snapshot, Snapshot> {
  const numbered = snapshots
    .flatMap((snapshot) => {
      const id = idNumber(snapshot);
      return id === undefined ? [] : [{ id, snapshot }];
    })
    .sort((a, b) => a.id - b.id);
  const found = new Map<Snapshot, Snapshot>();
  let [latest, pending]: [Snapshot | undefined, Snapshot[]] = [undefined, []];
  for (const [i, { id, snapshot }] of numbered.entries()) {
    if (latest !== undefined) found.set(snapshot, latest);
    pending.push(snapshot);
    // Those with the same id are no judges of each other.
    if (numbered[i + 1]?.id === id) continue;
    for (const one of pending) {
      if (latest === undefined || compareDates(one.date, latest.date) > 0) latest = one;
    }
    pending = [];
  }
  return found;
}

/** QEMU numbers snapshots; other programs may write any text. Digits that a number holds exactly. */
function idNumber({ id }: Snapshot): number | undefined {
  return /^\d{1,15}$/.test(id) ? Number(id) : undefined;
}

/** The first snapshot with these bytes, if there was one before. */
function firstOf(
  known: Map<string, Snapshot>,
  bytes: Uint8Array,
  snapshot: Snapshot,
): Snapshot | undefined {
  const key = hexOfBytes(bytes);
  const first = known.get(key);
  if (first === undefined) known.set(key, snapshot);
  return first;
}
