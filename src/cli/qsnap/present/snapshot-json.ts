import type { MappedVmState, Snapshot } from '../../../index.js';
import { hexOfBytes, type ActivePlace } from '../../../internal.js';
import { utcTimeText } from '../../text.js';
import { isUtf8 } from './bytes.js';

/** Extra data that the format defines: VM state size, disk size, icount. */
const KNOWN_EXTRA_BYTES = 24;

/**
 * A 64-bit number as JSON readers can hold it: a number where that is exact, decimal digits in a
 * string above 2^53 - 1.
 */
export function exactJson(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}

/**
 * A snapshot for programs: QEMU's keys, and new ones after them. docs/schema/snapshot.json.
 *
 * @param place where the active disk stands, if that is known.
 */
export function snapshotJson(
  snapshot: Snapshot,
  place: ActivePlace | undefined,
): Record<string, unknown> {
  const clock = snapshot.vmClockNanoseconds;
  const last = place && appliedLast(place);
  return {
    id: snapshot.id,
    name: snapshot.name,
    'vm-state-size': snapshot.vmStateBytes,
    'date-sec': snapshot.date.seconds,
    'date-nsec': snapshot.date.nanoseconds,
    'vm-clock-sec': Number(clock / 1_000_000_000n),
    'vm-clock-nsec': Number(clock % 1_000_000_000n),
    ...(snapshot.icount !== undefined && { icount: exactJson(snapshot.icount) }),
    'disk-size': snapshot.diskSizeBytes,
    date: utcTimeText(snapshot.date),
    ...(place !== undefined && { 'is-active-state': place.equal.has(snapshot.index) }),
    ...(last !== undefined && { 'is-applied-last': snapshot.index === last }),
    'l1-offset': snapshot.l1.at,
    'l1-entries': snapshot.l1.entries,
    ...(!isUtf8(snapshot.idBytes) && { 'id-bytes': hexOfBytes(snapshot.idBytes) }),
    ...(!snapshot.nameIsUtf8 && { 'name-bytes': hexOfBytes(snapshot.nameBytes) }),
  };
}

/** Which snapshot it is, in documents of other commands. */
export function snapshotNamesJson(snapshot: Snapshot): Record<string, unknown> {
  const { index, id, name, idBytes, nameBytes, nameIsUtf8 } = snapshot;
  return {
    index,
    id,
    name,
    ...(!isUtf8(idBytes) && { 'id-bytes': hexOfBytes(idBytes) }),
    ...(!nameIsUtf8 && { 'name-bytes': hexOfBytes(nameBytes) }),
  };
}

/** The snapshot that the active disk grew from, as far as one look tells. */
export function appliedLast({ equal, grewFrom }: ActivePlace): number | undefined {
  return equal.size === 1 ? [...equal][0] : grewFrom?.nearest.index;
}

/**
 * All that the table holds of a snapshot, and what its disk maps as VM state. docs/schema/show.json.
 *
 * @param vmState undefined: not known.
 */
export function snapshotDetailJson(
  snapshot: Snapshot,
  place: ActivePlace | undefined,
  vmState: Pick<MappedVmState, 'dataBytes' | 'behindBytes'> | undefined,
): Record<string, unknown> {
  return {
    ...snapshotJson(snapshot, place),
    ...(vmState !== undefined && {
      'vm-state-mapped': vmState.dataBytes,
      'vm-state-behind-size': vmState.behindBytes,
    }),
    index: snapshot.index,
    'table-entry-offset': snapshot.at,
    'vm-state-size-32': snapshot.vmStateBytes32,
    'extra-data-size': snapshot.extraData.length,
    'extra-data-unknown': hexOfBytes(unknownExtra(snapshot)),
  };
}

/** The extra data that no version of the format known here defines. */
export function unknownExtra(snapshot: Snapshot): Uint8Array {
  return snapshot.extraData.subarray(KNOWN_EXTRA_BYTES);
}
