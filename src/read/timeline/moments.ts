import type { Snapshot, SnapshotDate } from '../../qcow2/snapshot-table.js';

/** Dates of the image file as its host tells them, exactly; what the host does not know is left out. */
export interface HostDates {
  /** When its bytes were last written. */
  readonly modified?: SnapshotDate | undefined;
  /** When its bytes, owner, mode or links last changed. */
  readonly changed?: SnapshotDate | undefined;
  /** When the file was made in this file system; a copy is as young as the copying. */
  readonly born?: SnapshotDate | undefined;
}

/** What happened at a moment. */
export type MomentKind = 'file-born' | 'snapshot' | 'file-modified' | 'file-changed';

/** One date that an image has. */
export interface Moment {
  readonly kind: MomentKind;
  /** As stored: the nanoseconds of a damaged table may be a second or more. */
  readonly date: SnapshotDate;
  /** The snapshot that was taken; undefined for what befell the file. */
  readonly snapshot: Snapshot | undefined;
}

/** All dates of an image in order; those that are equal in the order of the snapshot table. */
export function momentsOf(snapshots: readonly Snapshot[], host: HostDates): readonly Moment[] {
  const ofFile = (kind: MomentKind, date: SnapshotDate | undefined): Moment[] =>
    date === undefined ? [] : [{ kind, date, snapshot: undefined }];
  return [
    ...ofFile('file-born', host.born),
    ...snapshots.map((snapshot): Moment => ({ kind: 'snapshot', date: snapshot.date, snapshot })),
    ...ofFile('file-modified', host.modified),
    ...ofFile('file-changed', host.changed),
  ].sort((a, b) => compareDates(a.date, b.date));
}

/** Below 0 where `a` is the earlier one. Nanoseconds past a second count as seconds. */
export function compareDates(a: SnapshotDate, b: SnapshotDate): number {
  const seconds = wholeSeconds(a) - wholeSeconds(b);
  return seconds === 0 ? (a.nanoseconds % 1e9) - (b.nanoseconds % 1e9) : seconds;
}

const wholeSeconds = ({ seconds, nanoseconds }: SnapshotDate): number =>
  seconds + Math.floor(nanoseconds / 1e9);

/** Exact nanoseconds since the Epoch. */
export function epochNanoseconds({ seconds, nanoseconds }: SnapshotDate): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
