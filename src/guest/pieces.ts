import type { ByteRange } from '../io/device.js';
import { swapWords } from '../base/words.js';
import type { Geometry } from '../qcow2/geometry.js';
import type { L2Tables, LoadedTables } from './l2-tables.js';
import type { RunList } from './runs.js';
import { NOWHERE } from './runs.js';
import { mapTable, NO_PROBLEM, type TableMap } from './table-map.js';
import { wrongL2Entry } from './wrong-entry.js';

/** A guest range that one L2 table maps, or that none does. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  /** Host offset of the table; 0: there is none. */
  readonly tableAt: number;
}

/** Entries of a piece: bounds what one piece can be mapped to, 32 times as many subclusters. */
const ENTRIES_MAX = 8192;

/** The guest ranges, which lie inside the disk, cut where one table ends and the next begins. */
export function* piecesOf(
  ranges: Iterable<ByteRange>,
  tables: L2Tables,
  geometry: Geometry,
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
      const to = Math.min((Math.floor(from / pieceBytes) + 1) * pieceBytes, end);
      yield { from, to, tableAt: tables.offsetAt(index) };
      from = to;
    }
  }
}

/**
 * Adds what a piece maps to `runs`.
 *
 * @throws QsnapError IMAGE_DAMAGED for an entry that can't be right; all before it are added.
 */
export function mapPiece(piece: Piece, loaded: LoadedTables, map: TableMap, runs: RunList): void {
  const { from, to, tableAt } = piece;
  const { clusterBytes, l2CoverageBytes, l2EntryBytes } = map.format.geometry;
  runs.within(from, to);
  if (tableAt === 0) {
    runs.add('unallocated', from, to - from, NOWHERE);
    return;
  }
  const words = loaded.get(tableAt)!;
  const guestAt = Math.floor(from / l2CoverageBytes) * l2CoverageBytes;
  const first = Math.floor((from - guestAt) / clusterBytes);
  const end = Math.ceil((to - guestAt) / clusterBytes);
  const problem = mapTable(words, map, first, end, guestAt, runs);
  if (problem === NO_PROBLEM) return;
  const entry = words.slice((problem * l2EntryBytes) / 4, ((problem + 1) * l2EntryBytes) / 4);
  if (l2EntryBytes === 8) swapWords(entry);
  throw wrongL2Entry(entry, tableAt, problem, map);
}
