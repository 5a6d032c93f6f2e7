import type { AuditedEdit } from '../plan/audit.js';
import type { Ledger } from '../plan/ledger.js';
import { countNewTables } from '../plan/new-tables.js';
import { placeRefcounts } from '../plan/place-refcounts.js';
import { placeTables } from '../plan/place.js';
import { planOf, type PlacedEdit } from '../plan/plan-of.js';
import { tablesToCopy } from '../plan/tables-to-copy.js';
import type { ZeroTable } from './find-zeros.js';

/**
 * Finds places for copies of L2 tables in which no entry reads as zeros by a flag. Where the image stands on a backing
 * file, such an entry gets a cluster of zeros past the end of the file; else it becomes unallocated. A cluster that was
 * kept for it loses a reference: another disk may have it as data, so nothing is written there.
 */
export async function placeWithoutZeros(
  edit: AuditedEdit,
  zeros: readonly ZeroTable[],
  ledger: Ledger,
): Promise<PlacedEdit> {
  const { image, next, refcountBlocks } = edit;
  const added = countNewTables(edit, ledger);
  const dataAt = new Map<number, number>();
  const { clusterBytes } = image.geometry;
  let at = added.dataAt;
  for (const { index, entries, kept } of zeros) {
    const pointers = edit.tally.before[index]!;
    for (const offset of kept) ledger.change(offset / clusterBytes, -pointers);
    dataAt.set(index, at);
    if (next.newData === undefined) continue;
    for (let end = at + entries * clusterBytes; at < end; at += clusterBytes) {
      ledger.change(at / clusterBytes, pointers);
    }
  }
  const flagged = await tablesToCopy(edit, true);
  const copied = [...new Set([...flagged, ...dataAt.keys()])].sort((a, b) => a - b);
  const without = { dataAt: Float64Array.from(copied, (index) => dataAt.get(index) ?? 0) };
  const tables = placeTables(edit, { copied, added, zeros: without }, ledger);
  const before = { table: image.header.refcountTable, blocks: refcountBlocks };
  const refcountTable = placeRefcounts(image.geometry, before, ledger);
  ledger.seal();
  return planOf(edit, { ...tables, refcountTable }, ledger);
}
