import { assert } from '../../base/assert.js';
import { addReferences, NO_PROBLEM } from '../../l1l2/scan.js';
import type { TableWrites } from '../tx/plan.js';
import type { NewTables } from '../tables/table-content.js';
import { setNewEntries } from '../tables/table-maker.js';
import type { AuditedEdit } from './audit.js';
import type { Ledger } from './ledger.js';
import type { NewClusters, NewData } from './next-state.js';

/**
 * Places new guest data and counts what the new L2 tables refer to. That comes before
 * anybody asks for COPIED flags, since a new table may refer to what an old one refers to as well.
 */
export function countNewTables({ image, next, ...edit }: AuditedEdit, ledger: Ledger): NewTables {
  const { newL2Tables: tables = [], newData, newClusters } = next;
  const { geometry } = image;
  const dataAt = newData === undefined ? 0 : ledger.takeDataRun(newData.clusters);
  const places = ledger.takeDataClusters(newClusters?.guestOffsets.length ?? 0);
  // New data lies past the end of the file as it is.
  const scan = { ...edit.scan, fileClusters: ledger.counts.clusters };
  const words = new Uint32Array(geometry.clusterBytes / 4);
  for (const table of tables) {
    words.fill(0);
    setNewEntries(words, table, { dataAt, places, scan });
    const problem = addReferences(words, scan, 1, ledger.counts);
    assert(problem === NO_PROBLEM, `entry ${problem} of a new L2 table is right`);
  }
  if (newData !== undefined) ledger.add(writesOf(newData, dataAt, geometry.clusterBytes));
  if (newClusters !== undefined) ledger.add(dataWrites(newClusters, places, geometry.clusterBytes));
  return { kind: 'new', tables, dataAt, places, scan, counts: ledger.counts };
}

function dataWrites(
  { guestOffsets, disk, cipher }: NewClusters,
  targets: Float64Array,
  clusterBytes: number,
): TableWrites {
  const numbered = cipher?.numberedBy === 'host' ? targets : guestOffsets;
  return {
    kind: 'tables',
    what: 'guest data',
    tableBytes: clusterBytes,
    targets,
    sources: guestOffsets,
    from: disk,
    content:
      cipher === undefined
        ? { kind: 'as-read' }
        : { kind: 'encrypted', encrypt: cipher.encrypt, places: numbered },
  };
}

/** Zeros are written only where asked for, and at the end, so that the file reaches it. */
function writesOf(data: NewData, dataAt: number, clusterBytes: number): TableWrites {
  const { clusters, first, written } = data;
  const last = clusters - 1;
  const indexes = written
    ? Array.from({ length: clusters }, (_, i) => i)
    : [...(first !== undefined && last > 0 ? [0] : []), last];
  return {
    kind: 'tables',
    what: 'guest data',
    tableBytes: clusterBytes,
    targets: Float64Array.from(indexes, (index) => dataAt + index * clusterBytes),
    sources: undefined,
    content: { kind: 'as-read', head: first },
  };
}
