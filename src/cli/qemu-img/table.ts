/** The snapshot table of `snapshot -l` and `info`. */
import type { Snapshot } from '../../index.js';
import type { Behaviour } from './version/behaviour.js';
import { cString } from './grammar/bytes.js';
import { clockText, dateText, sizeText } from './info/human.js';

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
type Row = readonly [
  id: string,
  name: string,
  size: string,
  date: string,
  clock: string,
  icount: string,
];

interface Layout {
  readonly titles: Row;
  readonly row: (row: Row) => string;
  /** Two before 9.0. */
  readonly hourDigits: number;
  /** Where no icount was recorded. */
  readonly noIcount: string;
}

const SPACED: Layout = {
  titles: ['ID', 'TAG', 'VM SIZE', 'DATE', 'VM CLOCK', 'ICOUNT'],
  row: ([id, name, size, date, clock, icount]) =>
    `${id.padEnd(9)} ${name.padEnd(16)} ${size.padStart(8)}${date.padStart(20)}` +
    `${clock.padStart(13)}${icount.padStart(11)}`,
  hourDigits: 2,
  noIcount: '',
};

const UNDERSCORED: Layout = {
  titles: ['ID', 'TAG', 'VM_SIZE', 'DATE', 'VM_CLOCK', 'ICOUNT'],
  row: ([id, name, size, date, clock, icount]) =>
    `${id.padEnd(7)} ${name.padEnd(16)} ${size.padStart(8)} ${date.padStart(19)} ` +
    `${clock.padStart(15)} ${icount.padStart(10)}`,
  hourDigits: 4,
  noIcount: '--',
};

/**
 * Headline, column titles and a row for each snapshot; nothing at all without snapshots.
 *
 * @param show applied to ids and names.
 */
export function snapshotTableLines(
  snapshots: readonly Snapshot[],
  { underscoredTable }: Behaviour,
  show: (text: string) => string,
): string[] {
  if (snapshots.length === 0) return [];
  const { titles, row, hourDigits, noIcount } = underscoredTable ? UNDERSCORED : SPACED;
  return [
    'Snapshot list:',
    row(titles),
    ...snapshots.map((snapshot) =>
      row([
        show(snapshotId(snapshot)),
        show(snapshotName(snapshot)),
        sizeText(snapshot.vmStateBytes),
        dateText(snapshot.date.seconds),
        clockText(snapshot.vmClockNanoseconds, hourDigits),
        snapshot.icount === undefined ? noIcount : String(signed(snapshot.icount)),
      ]),
    ),
  ];
}
