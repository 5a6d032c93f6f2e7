import type { MappedVmState, Snapshot } from '../../../index.js';
import {
  describeSnapshot,
  hexOfBytes,
  printable,
  printableText,
  type ActivePlace,
} from '../../../internal.js';
import { fieldLines, tableLines, type Column } from '../../columns.js';
import type { Style } from '../../style.js';
import {
  countText,
  exactSizeText,
  hexText,
  localTimeText,
  sizeText,
  utcTimeText,
  vmClockText,
} from '../../text.js';
import { appliedLast, unknownExtra } from './snapshot-json.js';

const MARKER = '*';
/** Marks the snapshot that the active disk grew from. */
export const APPLIED_LAST = '✓';

/** A name longer than this pushes its own row only. */
const NAME_WIDTH_MAX = 40;

const COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: 'ID', align: 'left', widthMax: 12 },
  { title: 'NAME', align: 'left', widthMax: NAME_WIDTH_MAX },
  { title: 'DATE', align: 'left' },
  { title: 'DISK', align: 'right' },
  { title: 'VM STATE', align: 'right' },
  { title: 'VM CLOCK', align: 'right' },
];

/** The table of `list`, with a line below that explains the marker where there is one. */
export function snapshotTableLines(
  snapshots: readonly Snapshot[],
  place: ActivePlace | undefined,
  style: Style,
): string[] {
  const markOf = ({ index }: Snapshot): string => {
    if (place?.equal.has(index) === true) return MARKER;
    return place?.grewFrom?.nearest.index === index ? APPLIED_LAST : ' ';
  };
  const rows = snapshots.map((snapshot) => [
    markOf(snapshot),
    printable(snapshot.idBytes),
    printable(snapshot.nameBytes),
    localTimeText(snapshot.date.seconds),
    sizeText(snapshot.diskSizeBytes),
    snapshot.vmStateBytes === 0 ? '-' : sizeText(snapshot.vmStateBytes),
    snapshot.vmClockNanoseconds === 0n ? '-' : vmClockText(snapshot.vmClockNanoseconds),
  ]);
  const [titles, ...lines] = tableLines(COLUMNS, rows);
  const painted = lines.map((line) =>
    line.startsWith(' ') ? line : style.marker(line[0]!) + line.slice(1),
  );
  return [titles!, ...painted, ...legendOf(place)];
}

function legendOf(place: ActivePlace | undefined): readonly string[] {
  if (place === undefined) return [];
  const { equal, grewFrom } = place;
  if (equal.size > 0) return [`${MARKER} equals the active disk`];
  if (grewFrom === undefined) return [];
  const size = grewFrom.guestBytes === 0 ? 'its size' : sizeText(grewFrom.guestBytes);
  return [`${APPLIED_LAST} the active disk grew from it; ${size} written since`];
}

/** All fields of one snapshot. */
export function snapshotDetailLines(
  path: string,
  snapshot: Snapshot,
  place: ActivePlace | undefined,
  vmState: Pick<MappedVmState, 'behindBytes'> | undefined,
): string[] {
  const { date, vmStateBytes, l1, extraData, icount } = snapshot;
  const untold = vmState?.behindBytes ?? 0;
  const state = place?.equal.has(snapshot.index);
  const last = place && appliedLast(place);
  const unknown = unknownExtra(snapshot);
  const utc = utcTimeText(date).replace('T', ' ').replace('Z', ' UTC');
  return [
    `Snapshot ${describeSnapshot(snapshot)} of ${printableText(path)}`,
    ...fieldLines([
      ['id', printable(snapshot.idBytes)],
      ['name', printable(snapshot.nameBytes)],
      ...(snapshot.nameIsUtf8
        ? []
        : [['name bytes', `${hexOfBytes(snapshot.nameBytes)} (not UTF-8)`] as const]),
      ['equals the active disk', state === undefined ? 'not known' : state ? 'yes' : 'no'],
      ...(last === undefined
        ? []
        : [['applied last', last === snapshot.index ? 'yes' : 'no'] as const]),
      ['date', utc],
      ['date as stored', `${date.seconds} s and ${date.nanoseconds} ns since 1970`],
      ['disk size', exactSizeText(snapshot.diskSizeBytes)],
      ['VM state', vmStateBytes === 0 ? 'none' : exactSizeText(vmStateBytes)],
      ...(untold === 0
        ? []
        : [
            [
              'VM state behind it',
              `${exactSizeText(untold)} with data, which no entry tells of`,
            ] as const,
          ]),
      ['VM clock', vmClockField(snapshot.vmClockNanoseconds)],
      ['icount', icount === undefined ? 'none' : icount.toString()],
      ['L1 table', `at ${hexText(l1.at)}, ${countText(l1.entries, 'entry', 'entries')}`],
      ['table entry', `at ${hexText(snapshot.at)}, position #${snapshot.index}`],
      ['extra data', countText(extraData.length, 'byte')],
      ...(unknown.length === 0
        ? []
        : [
            [
              'unknown extra data',
              `${countText(unknown.length, 'byte')}: ${hexOfBytes(unknown)}`,
            ] as const,
          ]),
    ]),
  ];
}

function vmClockField(nanoseconds: bigint): string {
  return `${vmClockText(nanoseconds)} (${nanoseconds} ns)`;
}
