import type { ByteRange } from '../../io/device.js';
import { swapWords } from '../../base/words.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { isLost, type L2Tables, type LoadedTables } from './l2-tables.js';
import type { SegmentList } from './segments.js';
import { NOWHERE } from './segments.js';
import { mapTable, NO_PROBLEM } from './table-map.js';
import type { TableMap } from './table-rules.js';
import { cutOff, l2ProblemText, PAST_THE_END, wrongL2Entry } from './wrong-entry.js';

/** A guest range that one L2 table maps, or that none does. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  /** Host offset of the table; 0: there is none. */
  readonly tableAt: number;
  /** Why nobody knows where the table is. */
  readonly lost?: string;
}

/** Entries of a piece: bounds what one piece can be mapped to, 32 times as many subclusters. */
export const ENTRIES_MAX = 8192;

/**
 * The guest ranges, which lie inside the disk, cut where one table ends and the next begins.
 *
 * @param goesOn whether what is wrong with an L1 entry makes a lost piece instead of an error.
 */
export function* piecesOf(
  ranges: Iterable<ByteRange>,
  tables: L2Tables,
  geometry: Geometry,
  goesOn: boolean,
): Generator<Piece, void> {
  const coverageBytes = geometry.l2CoverageBytes;
  const pieceBytes = Math.min(coverageBytes, ENTRIES_MAX * geometry.clusterBytes);
  for (const { at, length } of ranges) {
    const end = at + length;
    let from = at;
    while (from < end) {
      const index = Math.floor(from / coverageBytes);
      const used = tables.nextUsed(index, Math.ceil(end / coverageBytes));
      if (used > index) {
        const to = Math.min(used * coverageBytes, end);
        yield { from, to, tableAt: 0 };
        from = to;
        continue;
      }
      const lost = goesOn ? tables.problemAt(index)?.reason : undefined;
      // What is lost is one piece, up to where the next table begins.
      const unit = lost === undefined ? pieceBytes : coverageBytes;
      const to = Math.min((Math.floor(from / unit) + 1) * unit, end);
      if (lost !== undefined) yield { from, to, tableAt: 0, lost };
      else yield { from, to, tableAt: tables.offsetAt(index) };
      from = to;
    }
  }
}

/**
 * Adds what a piece maps to `segments`.
 *
 * @param goesOn whether what can't be read becomes unreadable segments instead of an error.
 * @throws QsnapError IMAGE_DAMAGED for an entry that can't be right, IMAGE_TRUNCATED for what the file
 *   ends before; all before it are added.
 */
export function mapPiece(
  piece: Piece,
  loaded: LoadedTables,
  map: TableMap,
  segments: SegmentList,
  goesOn: boolean,
): void {
  const { from, to, tableAt, lost } = piece;
  const { clusterBytes, l2CoverageBytes, l2EntryBytes } = map.format.geometry;
  segments.within(from, to);
  if (lost !== undefined) {
    segments.addUnreadable(from, to - from, lost);
    return;
  }
  if (tableAt === 0) {
    segments.add('unallocated', from, to - from, NOWHERE);
    return;
  }
  const words = loaded.get(tableAt)!;
  if (isLost(words)) {
    segments.addUnreadable(from, to - from, words.reason);
    return;
  }
  const guestAt = Math.floor(from / l2CoverageBytes) * l2CoverageBytes;
  const first = Math.floor((from - guestAt) / clusterBytes);
  const end = Math.ceil((to - guestAt) / clusterBytes);
  const inFile = Math.min(end, Math.floor((map.tablesEnd - tableAt) / l2EntryBytes));
  for (let next = first; next < inFile;) {
    const problem = mapTable(words, map, next, inFile, guestAt, segments);
    if (problem === NO_PROBLEM) break;
    const entry = words.slice((problem * l2EntryBytes) / 4, ((problem + 1) * l2EntryBytes) / 4);
    if (l2EntryBytes === 8) swapWords(entry);
    if (!goesOn) throw wrongL2Entry(entry, tableAt, problem, map);
    const reason = `the L2 entry ${l2ProblemText(entry, map)}`;
    segments.addUnreadable(guestAt + problem * clusterBytes, clusterBytes, reason);
    next = problem + 1;
  }
  const behind = guestAt + Math.max(first, inFile) * clusterBytes;
  if (behind >= to) return;
  if (!goesOn) throw cutOff('L2 table', tableAt, Math.max(from, behind), to);
  segments.addUnreadable(behind, to - behind, `the L2 table lies ${PAST_THE_END}`);
}
