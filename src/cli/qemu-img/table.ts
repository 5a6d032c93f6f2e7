/** The snapshot table of `snapshot -l` and `info`, as qemu-img 7.2 lays it out. */
import type { Snapshot } from '../../index.js';
import { cString } from './bytes.js';
import { clockText, dateText, sizeText } from './human.js';

/** QEMU keeps ids and names in arrays of these sizes, and cuts what is longer. */
export const ID_ARRAY_BYTES = 128;
export const NAME_ARRAY_BYTES = 256;

export function snapshotId(snapshot: Snapshot): string {
  return cString(snapshot.idBytes, ID_ARRAY_BYTES);
}

export function snapshotName(snapshot: Snapshot): string {
  return cString(snapshot.nameBytes, NAME_ARRAY_BYTES);
}

/** QEMU keeps 64-bit values signed. */
export function signed(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

/** Columns are counted in bytes, and what is too long moves the rest of its row. */
function row(id: string, name: string, right: readonly [string, string, string, string]): string {
  const [size, date, clock, icount] = right;
  return (
    `${id.padEnd(9)} ${name.padEnd(16)} ${size.padStart(8)}${date.padStart(20)}` +
    `${clock.padStart(13)}${icount.padStart(11)}`
  );
}

/**
 * Headline, column titles and a row for each snapshot; nothing at all without snapshots.
 *
 * @param show applied to ids and names.
 */
export function snapshotTableLines(
  snapshots: readonly Snapshot[],
  show: (text: string) => string,
): string[] {
  if (snapshots.length === 0) return [];
  return [
    'Snapshot list:',
    row('ID', 'TAG', ['VM SIZE', 'DATE', 'VM CLOCK', 'ICOUNT']),
    ...snapshots.map((snapshot) =>
      row(show(snapshotId(snapshot)), show(snapshotName(snapshot)), [
        sizeText(snapshot.vmStateBytes),
        dateText(snapshot.date.seconds),
        clockText(snapshot.vmClockNanoseconds),
        snapshot.icount === undefined ? '' : String(signed(snapshot.icount)),
      ]),
    ),
  ];
}
