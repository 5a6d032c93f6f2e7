import { storedWords, swapWords, wordsInPlace } from '../../base/words.js';
import { setNewEntry, type NewEntryKind } from '../../l1l2/new-entry.js';
import { newRuns } from '../../l1l2/runs.js';
import { setCopied, setCopiedOfAll, type Scan } from '../../l1l2/scan.js';
import { clearStoredCopied, setStoredCopied } from '../../l1l2/stored-scan.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { BlockGroups } from '../../refcount/block-groups.js';
import type { Counts } from '../../refcount/counts.js';

/**
 * What the tables of a plan are made of: values alone, so that a plan can be shown, saved, checked and carried out, and
 * each time gives the same bytes. The counts among them no longer change once a plan is made.
 */
export type TableContent =
  AsRead | RefcountBlocks | FlaggedTables | NewTables | MendedTables | SectorsOf;

/** Tables as they were read, or zeros where nothing was read. */
export interface AsRead {
  readonly kind: 'as-read';
  /** What the first table begins with. */
  readonly head?: Uint8Array | undefined;
}

/** Refcount blocks, made from counts alone. */
export interface RefcountBlocks {
  readonly kind: 'refcounts';
  readonly counts: Counts;
  readonly refcountBits: number;
  /** By table: the first cluster that it counts. */
  readonly firstClusters: Float64Array;
}

/** L2 tables that are right but for their COPIED flags. */
export interface FlaggedTables {
  readonly kind: 'flags';
  readonly scan: Scan;
  /** The refcounts that the flags are to agree with. */
  readonly counts: Counts;
  /** By table: 1 where no entry has the flag, since two L1 entries point at the table. */
  readonly isShared: Uint8Array;
}

/** L2 tables that an edit makes anew, for the active disk alone. */
export interface NewTables {
  readonly kind: 'new';
  readonly tables: readonly NewL2Table[];
  /** Host offset of the first cluster of new guest data. */
  readonly dataAt: number;
  readonly scan: Scan;
  readonly counts: Counts;
}

/** What one of them holds, COPIED flags aside. */
export interface NewL2Table {
  /** Which entry of the active L1 points at it; that entry is 0 in the new L1. */
  readonly l1Index: number;
  /** Entries as host-order words; undefined: all of them are 0. */
  readonly words: Uint32Array | undefined;
  /** Entries that are set over these. */
  readonly runs: readonly NewEntries[];
}

/** Entries in a row that map host clusters in a row. */
export interface NewEntries {
  readonly first: number;
  readonly count: number;
  readonly kind: NewEntryKind;
  /** Which cluster of the new guest data the first entry maps; 0 for `zero`. */
  readonly dataCluster: number;
}

/** L2 tables that a repair mends, or of which it sets the COPIED flags. */
export interface MendedTables {
  readonly kind: 'mended';
  readonly tables: readonly MendedTable[];
  readonly mender: WholeTableMender;
  readonly scan: Scan;
  readonly counts: Counts;
}

/** What becomes of one of them. */
export interface MendedTable {
  /** Host offset of the table as it is stored, by which findings of its entries are named. */
  readonly at: number;
  /** Whether its entries are mended. */
  readonly mends: boolean;
  /** COPIED flags: set `by-counts`, `all` set as in an image with an external data file, or left `as-read`. */
  readonly flags: 'by-counts' | 'all' | 'as-read';
}

/** Mends all entries of an L2 table in host-order words, each time in the same way. */
export interface WholeTableMender {
  mendWholeL2(words: Uint32Array, tableAt: number, scan: Scan): void;
}

/** Sectors of tables that are changed where they lie. */
export interface SectorsOf {
  readonly kind: 'sectors';
  readonly of: RefcountBlocks | FlaggedTables;
  /** By sector: which table it belongs to, and where in it the sector begins, in bytes. */
  readonly tables: readonly number[];
  readonly offsets: readonly number[];
}

/**
 * Turns what was read of a table (or zeros) into the new table, in place: the bytes from `from` on, which are all of them
 * or whole sectors.
 */
export type TableMaker = (index: number, part: Uint8Array, from?: number) => void;

/** The function that makes tables of this content. It has working memory of its own, and no state. */
export function tableMaker(content: TableContent): TableMaker {
  switch (content.kind) {
    case 'as-read':
      return (index, table) => {
        if (index === 0 && content.head !== undefined) table.set(content.head);
      };
    case 'refcounts':
      return blockMaker(content);
    case 'flags':
      return flagMaker(content);
    case 'new':
      return (index, table) => {
        const words = wordsInPlace(table);
        setNewEntries(words, content.tables[index]!, content.dataAt, content.scan.format.geometry);
        setCopied(words, content.scan, content.counts);
        swapWords(words);
      };
    case 'mended':
      return (index, table) => {
        mendTable(wordsInPlace(table), index, content);
      };
    case 'sectors': {
      const make = tableMaker(content.of);
      return (index, sector) => {
        make(content.tables[index]!, sector, content.offsets[index]);
      };
    }
  }
}

function blockMaker({ counts, refcountBits, firstClusters }: RefcountBlocks): TableMaker {
  const groups = new BlockGroups(refcountBits);
  return (index, part, from = 0) => {
    // A word of counts is 32 refcounts.
    const firstWord = firstClusters[index]! / 32 + from / (4 * refcountBits);
    groups.encodeBlock(counts, firstWord, storedWords(part));
  };
}

/** Each entry gets its flag alone, so that a part of a table is made as a whole one is. */
function flagMaker({ scan, counts, isShared }: FlaggedTables): TableMaker {
  const runs = newRuns(scan);
  return (index, part) => {
    if (isShared[index] === 1) clearStoredCopied(part, scan);
    else setStoredCopied(storedWords(part), scan, counts, runs);
  };
}

/** Sets the entries of a new table, in words that are 0. */
export function setNewEntries(
  words: Uint32Array,
  { words: known, runs }: NewL2Table,
  dataAt: number,
  geometry: Geometry,
): void {
  if (known !== undefined) words.set(known);
  for (const { first, count, kind, dataCluster } of runs) {
    for (let i = 0; i < count; i++) {
      const at = kind === 'zero' ? 0 : dataAt + (dataCluster + i) * geometry.clusterBytes;
      setNewEntry(words, first + i, kind, at, geometry);
    }
  }
}

function mendTable(
  words: Uint32Array,
  index: number,
  { tables, mender, scan, counts }: MendedTables,
): void {
  const { at, mends, flags } = tables[index]!;
  if (mends) mender.mendWholeL2(words, at, scan);
  if (flags === 'all') setCopiedOfAll(words, scan);
  if (flags === 'by-counts') setCopied(words, scan, counts);
  swapWords(words);
}
