import { COPIED } from '../../l1l2/entry.js';
import { nextOfRelation, STORED_COPIED } from '../../l1l2/stored-scan.js';
import { isLost, type LoadedTables } from '../guest/l2-tables.js';
import { SegmentList, type Segment, type SegmentKind } from '../guest/segments.js';
import { mapPiece } from '../guest/table-pieces.js';
import type { TableMap } from '../guest/table-rules.js';
import type { DiffKind, DiffRange } from './diff-range.js';

/** A guest range that one L2 table of each disk maps. */
export interface PiecePair {
  readonly from: number;
  readonly to: number;
  /** Host offset of the table of the first disk; 0: it has none. */
  readonly aTableAt: number;
  readonly bTableAt: number;
  /** Which disk ends before this range, and counts as zeros here. */
  readonly ended?: 'a' | 'b';
}

/** What decides whether two disks differ. */
export interface DiffRules {
  readonly map: TableMap;
  /** Whether a backing file shows where a disk has nothing. Else there are zeros. */
  readonly hasBacking: boolean;
  /** The words of a table without entries: for where a disk has none. */
  readonly noTable: Uint32Array;
}

/**
 * What the second disk has in the parts of a piece where the two differ: ascending, and not joined.
 *
 * @throws QsnapError IMAGE_DAMAGED for an entry that can't be right, IMAGE_TRUNCATED for one that the file ends before,
 *   of those that differ.
 */
export function pieceDifferences(
  piece: PiecePair,
  loaded: LoadedTables,
  rules: DiffRules,
): DiffRange[] {
  const found: DiffRange[] = [];
  if (piece.ended !== undefined) {
    compareWithEnded(piece, loaded, rules, found);
    return found;
  }
  const { clusterBytes, l2CoverageBytes, l2EntryBytes } = rules.map.format.geometry;
  const stride = l2EntryBytes / 4;
  // `L2Tables.read` leaves extended entries in host order.
  const copied = l2EntryBytes === 16 ? COPIED : STORED_COPIED;
  const a = wordsAt(piece.aTableAt, loaded, rules);
  const b = wordsAt(piece.bTableAt, loaded, rules);
  const guestAt = Math.floor(piece.from / l2CoverageBytes) * l2CoverageBytes;
  const end = Math.ceil((piece.to - guestAt) / clusterBytes);
  // What the file ends before is zeros in memory, and may be anything.
  const whole = Math.min(
    end,
    entriesInFile(piece.aTableAt, rules),
    entriesInFile(piece.bTableAt, rules),
  );
  for (let i = Math.floor((piece.from - guestAt) / clusterBytes); i < end;) {
    const first = i < whole ? nextOfRelation(a, b, i, whole, stride, copied, true) : i;
    i = first < whole ? nextOfRelation(a, b, first, whole, stride, copied, false) : end;
    // What the file ends before is told by who maps it.
    if (first === whole && whole === end) break;
    const from = Math.max(piece.from, guestAt + first * clusterBytes);
    const to = Math.min(piece.to, guestAt + i * clusterBytes);
    compareSegments(
      segmentsOf(from, to, piece.aTableAt, loaded, rules),
      segmentsOf(from, to, piece.bTableAt, loaded, rules),
      rules,
      (start, length, kind) => found.push({ start, length, kind: KIND_OF[kind] }),
    );
  }
  return found;
}

/** Behind the end of one disk the two differ where the other one does not read as zeros. */
function compareWithEnded(
  { from, to, aTableAt, bTableAt, ended }: PiecePair,
  loaded: LoadedTables,
  rules: DiffRules,
  found: DiffRange[],
): void {
  const tableAt = ended === 'a' ? bTableAt : aTableAt;
  for (const { kind, start, length } of segmentsOf(from, to, tableAt, loaded, rules)) {
    if (readsAsZeros(kind, rules)) continue;
    found.push({ start, length, kind: ended === 'a' ? KIND_OF[kind] : 'unmapped' });
  }
}

const KIND_OF: Readonly<Record<SegmentKind, DiffKind>> = {
  data: 'data',
  compressed: 'data',
  zero: 'zeroed',
  unallocated: 'unmapped',
  // Never told here: `mapPiece` throws instead.
  unreadable: 'data',
};

/** The words of a table; zeros where there is none. */
function wordsAt(at: number, loaded: LoadedTables, { noTable }: DiffRules): Uint32Array {
  if (at === 0) return noTable;
  const words = loaded.get(at)!;
  if (isLost(words)) throw new TypeError('tables are read whole, or not at all');
  return words;
}

function entriesInFile(tableAt: number, { map }: DiffRules): number {
  return Math.floor((map.tablesEnd - tableAt) / map.format.geometry.l2EntryBytes);
}

function segmentsOf(
  from: number,
  to: number,
  tableAt: number,
  loaded: LoadedTables,
  { map }: DiffRules,
): readonly Segment[] {
  // Whether the file has all bytes of a cluster is for those to find who read it.
  const list = new SegmentList({ joinCompressed: false, dataEnd: Infinity, goesOn: false });
  mapPiece({ from, to, tableAt }, loaded, map, list, false);
  return list.take(0);
}

/** Goes over two lists that cover the same range. */
function compareSegments(
  a: readonly Segment[],
  b: readonly Segment[],
  rules: DiffRules,
  differ: (start: number, length: number, kind: SegmentKind) => void,
): void {
  let start = b[0]!.start;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [ours, others] = [a[i]!, b[j]!];
    const [aEnd, bEnd] = [ours.start + ours.length, others.start + others.length];
    const end = Math.min(aEnd, bEnd);
    if (!isSame(ours, others, rules)) differ(start, end - start, others.kind);
    if (end === aEnd) i += 1;
    if (end === bEnd) j += 1;
    start = end;
  }
}

/** Whether two segments read the same where they meet, as far as tables tell. */
function isSame(a: Segment, b: Segment, rules: DiffRules): boolean {
  if (readsAsZeros(a.kind, rules) && readsAsZeros(b.kind, rules)) return true;
  if (a.kind !== b.kind) return false;
  // A cluster that is reserved for what is not there is not read.
  if (a.kind === 'unallocated') return true;
  // A compressed cluster is a segment of its own, and its place that of all its bytes.
  if (a.kind === 'compressed') return a.at === b.at && a.sectorBytes === b.sectorBytes;
  return a.at - a.start === b.at - b.start;
}

function readsAsZeros(kind: SegmentKind, { hasBacking }: DiffRules): boolean {
  return kind === 'zero' || (kind === 'unallocated' && !hasBacking);
}
