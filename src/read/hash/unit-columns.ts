import { QsnapError } from '../../errors.js';
import { refuseUnread, type OpenImage } from '../../image/image.js';
import { tableFormat } from '../../image/table-format.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { L2Tables } from '../guest/l2-tables.js';
import { SegmentList, type Segment } from '../guest/segments.js';
import { tableMapOf } from '../guest/table-map.js';
import { mapPiece } from '../guest/table-pieces.js';
import type { TableMap } from '../guest/table-rules.js';

/** Guest bytes of one place that at least one disk has. Disks with the same unit have the same bytes there. */
export interface Unit {
  /** Guest offset in bytes. */
  readonly at: number;
  readonly length: number;
  /** All zeros, by the tables. */
  readonly isZero: boolean;
  /** The first disk that has it. */
  readonly disk: number;
  /** Why nobody can read it. */
  readonly lost: string | undefined;
}

/** The units of all disks at one guest offset; a disk that has ended has none. */
export type Column = readonly (Unit | undefined)[];

/** A disk as its tables tell it. */
export interface TableDisk {
  readonly tables: L2Tables;
  readonly sizeBytes: number;
}

/** The tables of a disk. @throws QsnapError TABLE_INVALID, READ_FAILED, and why its L1 table can't be read. */
export async function tableDisk(
  image: OpenImage,
  snapshot: Snapshot | undefined,
): Promise<TableDisk> {
  refuseUnread(image, snapshot);
  const sizeBytes = snapshot?.diskSizeBytes ?? image.header.diskSizeBytes;
  const tables = await L2Tables.open(image, snapshot?.l1 ?? image.header.activeL1, {
    structure: snapshot === undefined ? 'active L1' : 'snapshot L1',
    diskSizeBytes: sizeBytes,
    format: tableFormat(image),
    tolerant: false,
    goesOn: true,
  });
  return { tables, sizeBytes };
}

/** Units of all disks that are mapped at a time: bounds memory. Ours. */
const UNITS_MAX = 2 ** 18;
/** L2 tables that are loaded together. Ours. */
const TABLES_AT_ONCE = 32;

/**
 * Goes over the guest offsets of all disks at once.
 *
 * @param unitBytes a power of two, at most what one L2 table maps.
 */
export async function* unitColumns(
  image: OpenImage,
  disks: readonly TableDisk[],
  unitBytes: number,
): AsyncGenerator<Column> {
  const { l2CoverageBytes } = image.geometry;
  const stretchBytes =
    unitBytes * Math.max(1, Math.min(8192, Math.floor(UNITS_MAX / disks.length)));
  const end = Math.max(...disks.map(({ sizeBytes }) => sizeBytes));
  for (let from = 0; from < end;) {
    const blank = image.backingNameBytes === undefined ? blankUntil(image, disks, from) : from;
    if (blank > from) {
      const zero = { at: from, length: blank - from, isZero: true, disk: 0, lost: undefined };
      yield disks.map(({ sizeBytes }) => (sizeBytes > from ? zero : undefined));
      from = blank;
      continue;
    }
    const tableEnd = (Math.floor(from / l2CoverageBytes) + 1) * l2CoverageBytes;
    const to = Math.min(end, tableEnd, from + stretchBytes);
    yield* columnsOf(
      await mappedStretch(image, disks, { from, to }, unitBytes),
      from,
      to,
      unitBytes,
    );
    from = to;
  }
}

/** Up to where no disk has a table, and none ends. */
function blankUntil(image: OpenImage, disks: readonly TableDisk[], from: number): number {
  const { l2CoverageBytes } = image.geometry;
  let until = Infinity;
  for (const { tables, sizeBytes } of disks) {
    if (sizeBytes <= from) continue;
    const index = Math.floor(from / l2CoverageBytes);
    const used = tables.nextUsed(index, Math.ceil(sizeBytes / l2CoverageBytes));
    until = Math.min(until, used === index ? from : Math.min(used * l2CoverageBytes, sizeBytes));
    if (until === from) break;
  }
  // A disk that ends inside a unit does so for all: the next stretch begins at a whole one.
  const isEnd = disks.every(({ sizeBytes }) => sizeBytes <= until);
  return isEnd ? until : Math.floor(until / l2CoverageBytes) * l2CoverageBytes;
}

function* columnsOf(
  mapped: readonly (readonly Unit[])[],
  from: number,
  to: number,
  unitBytes: number,
): Generator<Column, void> {
  const count = Math.ceil((to - from) / unitBytes);
  for (let i = 0; i < count; i++) yield mapped.map((units) => units[i]);
}

interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** By disk: its units in the stretch. Disks whose tables are the same share the list. */
async function mappedStretch(
  image: OpenImage,
  disks: readonly TableDisk[],
  stretch: Stretch,
  unitBytes: number,
): Promise<readonly (readonly Unit[])[]> {
  const index = Math.floor(stretch.from / image.geometry.l2CoverageBytes);
  const known = new Map<string, Unit>();
  const byTable = new Map<string, Wanted>();
  const keys = disks.map(({ tables, sizeBytes }, disk) => {
    const lost = tables.problemAt(index)?.reason;
    const tableAt = lost === undefined ? tables.offsetAt(index) : 0;
    const to = Math.min(stretch.to, sizeBytes);
    const key = `${tableAt} ${to} ${lost ?? ''}`;
    if (!byTable.has(key)) {
      byTable.set(key, {
        disk,
        piece: { from: stretch.from, to, tableAt, ...(lost !== undefined && { lost }) },
      });
    }
    return key;
  });
  const map = tableMapOf(
    tableFormat(image),
    image.fileSizeBytes,
    image.header.externalDataFile,
    false,
  );
  const units = new Map<string, readonly Unit[]>();
  const wanted = [...byTable];
  for (let i = 0; i < wanted.length; i += TABLES_AT_ONCE) {
    const some = wanted.slice(i, i + TABLES_AT_ONCE);
    const offsets = some.flatMap(([, { piece }]) => (piece.tableAt === 0 ? [] : [piece.tableAt]));
    const loaded = await disks[0]!.tables.load(new Set(offsets));
    for (const [key, one] of some) {
      units.set(
        key,
        one.piece.to <= stretch.from ? [] : unitsOf(image, one, { loaded, map, known, unitBytes }),
      );
    }
  }
  return keys.map((key) => units.get(key)!);
}

interface Wanted {
  readonly disk: number;
  readonly piece: Parameters<typeof mapPiece>[0];
}

interface Mapping {
  readonly loaded: Awaited<ReturnType<L2Tables['load']>>;
  readonly map: TableMap;
  readonly known: Map<string, Unit>;
  readonly unitBytes: number;
}

/** Cuts what a table maps into units, and finds those that are known already. */
function unitsOf(image: OpenImage, { disk, piece }: Wanted, mapping: Mapping): readonly Unit[] {
  const { loaded, map, known, unitBytes } = mapping;
  const dataEnd = image.header.externalDataFile ? Infinity : image.fileSizeBytes;
  const list = new SegmentList({ joinCompressed: false, dataEnd, goesOn: true });
  mapPiece(piece, loaded, map, list, true);
  const segments = list.take(0);
  const hasBacking = image.backingNameBytes !== undefined;
  const units: Unit[] = [];
  let next = 0;
  for (let at = piece.from; at < piece.to; at += unitBytes) {
    const end = Math.min(piece.to, at + unitBytes);
    let [key, isZero, lost]: [string, boolean, string | undefined] = [
      `${at} ${end}`,
      true,
      undefined,
    ];
    while (segments[next]!.start + segments[next]!.length <= at) next += 1;
    for (let i = next; i < segments.length && segments[i]!.start < end; i++) {
      const segment = segments[i]!;
      const isBlank = segment.kind === 'zero' || (segment.kind === 'unallocated' && !hasBacking);
      isZero &&= isBlank;
      if (segment.kind === 'unreadable') lost ??= segment.reason;
      key += isBlank ? ' 0' : ` ${placeOf(segment, at)}`;
    }
    if (isZero) key = `${at} ${end}`;
    let unit = known.get(key);
    if (unit === undefined) {
      unit = { at, length: end - at, isZero, disk, lost };
      known.set(key, unit);
    }
    units.push(unit);
  }
  return units;
}

/** How and where a segment is kept, from the beginning of the unit on. */
function placeOf({ kind, start, at, sectorBytes }: Segment, unitAt: number): string {
  const cut = kind === 'data' ? Math.max(0, unitAt - start) : 0;
  const from = Math.max(start, unitAt) - unitAt;
  const packed = kind === 'compressed' ? `${start} ${sectorBytes} ` : '';
  return `${kind} ${from} ${packed}${at + cut}`;
}

/** What is told of a disk that can't be read there. */
export function lostUnit({ at, lost }: Unit): QsnapError {
  return new QsnapError('IMAGE_DAMAGED', `guest bytes from ${at} on can't be read: ${lost}`);
}
