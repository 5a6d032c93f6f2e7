import type { DiskUsage, FreedBytes, ImageUsage, Snapshot } from '../../../index.js';
import { describeSnapshot, printable } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { countText, exactSizeText, sizeText } from '../../text.js';

/** Snapshots that were asked about together, and what deleting them frees. */
export interface SetFreed {
  readonly snapshots: readonly Snapshot[];
  readonly freed: FreedBytes;
}

/** Cells of the longest bar. */
const BAR_CELLS = 24;
/** Told apart by shape: not everybody sees colours, and not every terminal has them. */
const ALONE = '█';
const SHARED = '░';
const VM_STATE = '▚';

const COLUMNS: readonly Column[] = [
  { title: 'ID', align: 'left', widthMax: 12 },
  { title: 'NAME', align: 'left', widthMax: 40 },
  { title: 'DATA', align: 'right' },
  { title: 'ALONE', align: 'right' },
  { title: 'VM STATE', align: 'right' },
  { title: 'TABLES', align: 'right' },
  { title: 'IF DELETED', align: 'right' },
  { title: '', align: 'left' },
];

/** The table of `usage`, what its bars mean, and what the file is made of. */
export function usageLines(
  usage: ImageUsage,
  takenBytes: number | undefined,
  set: SetFreed | undefined,
): string[] {
  const disks = [usage.active, ...usage.snapshots];
  const longest = Math.max(
    ...disks.map(({ mappedBytes, vmStateBytes }) => mappedBytes + vmStateBytes),
  );
  const rows = disks.map((disk) => [...nameCells(disk), ...sizeCells(disk), barOf(disk, longest)]);
  return [
    ...tableLines(COLUMNS, rows),
    ...(longest === 0 ? [] : [legendOf(longest)]),
    ...spaceLines(usage, takenBytes),
    ...(set === undefined ? [] : [setLine(set)]),
  ];
}

const legendOf = (longest: number): string =>
  `${ALONE} alone  ${SHARED} shared  ${VM_STATE} VM state; the longest bar is ${sizeText(longest)}`;

function nameCells({ snapshot }: DiskUsage): readonly string[] {
  if (snapshot === undefined) return ['', 'active disk'];
  return [printable(snapshot.idBytes), printable(snapshot.nameBytes)];
}

function sizeCells(disk: DiskUsage): readonly string[] {
  const { mappedBytes, exclusiveBytes, vmStateBytes, tableBytes, ifDeleted } = disk;
  const orNone = (bytes: number): string => (bytes === 0 ? '-' : sizeText(bytes));
  return [
    orNone(mappedBytes),
    orNone(exclusiveBytes),
    orNone(vmStateBytes),
    orNone(tableBytes),
    ifDeleted === undefined ? '' : sizeText(ifDeleted.freedBytes),
  ];
}

/** A part that is not empty has at least one cell, so that it does not look empty. */
function barOf({ exclusiveBytes, sharedBytes, vmStateBytes }: DiskUsage, longest: number): string {
  let [bytes, cells] = [0, 0];
  const part = (more: number, cell: string): string => {
    if (more === 0) return '';
    bytes += more;
    const end = Math.max(cells + 1, Math.round((bytes / longest) * BAR_CELLS));
    const text = cell.repeat(end - cells);
    cells = end;
    return text;
  };
  return part(exclusiveBytes, ALONE) + part(sharedBytes, SHARED) + part(vmStateBytes, VM_STATE);
}

function spaceLines(
  { space, active }: ImageUsage,
  takenBytes: number | undefined,
): readonly string[] {
  const { fileBytes, dataBytes, metadataBytes, leakedBytes, freeBytes, tailBytes } = space;
  const taken = takenBytes === undefined ? '' : `, ${exactSizeText(takenBytes)} taken on the host`;
  const file = `File of ${exactSizeText(fileBytes)}${taken}:`;
  const parts = [
    `guest data and VM state ${sizeText(dataBytes)}`,
    `metadata ${sizeText(metadataBytes)}`,
    `free inside ${sizeText(freeBytes)}`,
    ...(leakedBytes > 0 ? [`leaked ${sizeText(leakedBytes)}`] : []),
    ...(tailBytes > 0 ? [`free at the end ${sizeText(tailBytes)}`] : []),
  ];
  const inDataFile = active.mappedBytes > 0 && dataBytes === 0;
  return [
    `${file} ${parts.join(', ')}.`,
    ...(inDataFile ? ['The guest data lies in the external data file.'] : []),
    ...(space.uncountedBytes > 0
      ? [`${sizeText(space.uncountedBytes)} in use count as free: \`qsnap check\` tells more.`]
      : []),
  ];
}

function setLine({ snapshots, freed }: SetFreed): string {
  const { freedBytes, guestDataBytes, vmStateBytes, tableBytes } = freed;
  const unique = [...new Set(snapshots)];
  const named = unique.map(describeSnapshot).join(', ');
  const what =
    unique.length === 1
      ? `snapshot ${named}`
      : `${countText(unique.length, 'snapshot')} together (${named})`;
  return (
    `Deleting ${what} would free ` +
    `${exactSizeText(freedBytes)}: guest data ${sizeText(guestDataBytes)}, ` +
    `VM state ${sizeText(vmStateBytes)}, tables ${sizeText(tableBytes)}.`
  );
}
