import { firstDifference, isZero } from '../../base/bytes.js';
import { KiB } from '../../base/units.js';
import { bytesOf } from '../../base/words.js';
import { walkStoredTables } from '../../refs/tables.js';
import type { BlockSource, ByteRange } from '../../io/device.js';
import type { LiteralWrite, TableWrites } from '../tx/plan.js';
import type { SectorsOf } from '../tables/table-content.js';
import { tableMaker } from '../tables/table-maker.js';

/**
 * Ours: what is written in place is cut to sectors, the least that a file can have a hole of. Whoever made
 * a table may have left holes where it has zeros, and a full disk can't fill them.
 */
export const SECTOR_BYTES = 512;

/**
 * The ranges of a table to write in place: all sectors from the first one that changes to the last one. A sector of
 * zeros that stays so is left out, since it may be a hole that a full disk can't fill. Neighbours are joined.
 *
 * @param after the new bytes, as many as `before`.
 * @returns ranges inside the table.
 */
export function partsToWrite(before: Uint8Array, after: Uint8Array): readonly ByteRange[] {
  const [first, end] = changedSectors(before, after);
  const parts: { at: number; length: number }[] = [];
  for (let at = first; at < end; at += SECTOR_BYTES) {
    const to = Math.min(at + SECTOR_BYTES, after.length);
    if (isZero(before, at, to) && isZero(after, at, to)) continue;
    const last = parts.at(-1);
    if (last !== undefined && last.at + last.length === at) last.length += to - at;
    else parts.push({ at, length: to - at });
  }
  return parts;
}

/** Where the first sector that changes begins, and the last one ends; nothing changes: 0 and 0. */
function changedSectors(before: Uint8Array, after: Uint8Array): readonly [number, number] {
  const different = firstDifference(before, after);
  if (different === after.length) return [0, 0];
  let last = after.length - 1 - ((after.length - 1) % SECTOR_BYTES);
  for (; last > different; last -= SECTOR_BYTES) {
    const sector = after.subarray(last, last + SECTOR_BYTES);
    if (firstDifference(before.subarray(last, last + sector.length), sector) < sector.length) break;
  }
  return [different - (different % SECTOR_BYTES), Math.min(last + SECTOR_BYTES, after.length)];
}

/** What a host may take at a time to fill a hole. Ours: the usual block of a file system. */
const HOLE_BYTES = 4 * KiB;

/** What it takes at most to write there where there were zeros, and so may be holes. */
export function bytesOfZeros(before: Uint8Array, after: Uint8Array): number {
  const into = partsToWrite(before, after).flatMap(({ at, length }) => {
    return Array.from(
      { length: Math.ceil(length / SECTOR_BYTES) },
      (_, i) => at + i * SECTOR_BYTES,
    );
  });
  return into.filter((at) => isZero(before, at, at + SECTOR_BYTES)).length * HOLE_BYTES;
}

/** Those parts of a table of which all bytes are known. */
export function literalsInPlace(
  what: string,
  at: number,
  before: Uint8Array,
  after: Uint8Array,
): readonly LiteralWrite[] {
  return partsToWrite(before, after).map(({ at: from, length }) => {
    return { kind: 'literal', what, at: at + from, bytes: after.subarray(from, from + length) };
  });
}

/** Tables that are changed where they lie. */
export interface TablesInPlace {
  readonly what: string;
  readonly tableBytes: number;
  /** Host offsets, ascending. */
  readonly places: Float64Array;
  readonly content: SectorsOf['of'];
}

/** Reads tables and finds the sectors of them that have to be written; they are made while that is done. */
export async function tablesInPlace(
  source: BlockSource,
  { what, tableBytes, places, content }: TablesInPlace,
): Promise<readonly TableWrites[]> {
  const make = tableMaker(content);
  const tables: number[] = [];
  const offsets: number[] = [];
  await walkStoredTables(source, places, tableBytes, (index, words) => {
    const after = bytesOf(words);
    const before = after.slice();
    make(index, after);
    for (const { at, length } of partsToWrite(before, after)) {
      for (let from = at; from < at + length; from += SECTOR_BYTES) {
        tables.push(index);
        offsets.push(from);
      }
    }
  });
  if (tables.length === 0) return [];
  const sectors = Float64Array.from(tables, (index, i) => places[index]! + offsets[i]!);
  return [
    {
      kind: 'tables',
      what,
      tableBytes: SECTOR_BYTES,
      targets: sectors,
      sources: sectors,
      content: { kind: 'sectors', of: content, tables, offsets },
    },
  ];
}
