import { assert } from '../../base/assert.js';
import { swapWords, wordsInPlace } from '../../base/words.js';
import { addReferences, NO_PROBLEM, setCopied } from '../../l1l2/scan.js';
import type { ShadowWrite, TableWrites } from '../tx/plan.js';
import type { Audit } from './audit.js';
import type { Ledger } from './ledger.js';
import type { NewData, NewL2Table, NextState } from './next-state.js';
import type { Survey } from './survey.js';

/** L2 tables that an edit makes anew, with places for the guest data that they map. */
export interface NewTables {
  readonly tables: readonly NewL2Table[];
  /** Host offset of the first cluster of new guest data; 0 where there is none. */
  readonly dataAt: number;
  readonly dataWrites: readonly ShadowWrite[];
}

/**
 * Finds room for new guest data and counts what the new L2 tables refer to. That comes before
 * anybody asks for COPIED flags, since a new table may refer to what an old one refers to as well.
 */
export function countNewTables(
  from: Survey,
  next: NextState,
  audited: Audit,
  ledger: Ledger,
): NewTables {
  const { newL2Tables: tables = [], newData } = next;
  const { clusterBytes } = from.image.geometry;
  const dataAt = newData === undefined ? 0 : ledger.findDataRun(newData.clusters);
  // New data lies past the end of the file as it is.
  const scan = { ...audited.scan, fileClusters: ledger.counts.clusters };
  const words = new Uint32Array(clusterBytes / 4);
  for (const table of tables) {
    words.fill(0);
    table.fill(words, dataAt);
    const problem = addReferences(words, scan, 1, ledger.counts);
    assert(problem === NO_PROBLEM, `entry ${problem} of a new L2 table is right`);
  }
  const dataWrites = newData === undefined ? [] : [writesOf(newData, dataAt, clusterBytes)];
  return { tables, dataAt, dataWrites };
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
    fill: (i, cluster) => {
      if (indexes[i] === 0 && first !== undefined) cluster.set(first);
    },
  };
}

/** Makes the new tables, flags by the counts as they are when all is placed. */
export function newTableFill(
  { tables, dataAt }: NewTables,
  { scan }: Audit,
  ledger: Ledger,
): TableWrites['fill'] {
  return (i, table) => {
    const words = wordsInPlace(table);
    tables[i]!.fill(words, dataAt);
    setCopied(words, scan, ledger.final);
    swapWords(words);
  };
}
