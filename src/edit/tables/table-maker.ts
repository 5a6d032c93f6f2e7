import { storedWords, swapWords, wordsInPlace } from '../../base/words.js';
import { setNewEntry, setPlace } from '../../l1l2/new-entry.js';
import { replaceZeros } from '../../l1l2/zero-entries.js';
import { moveEntries } from '../../l1l2/moved.js';
import { newRuns } from '../../l1l2/runs.js';
import { setCopied, setCopiedOfAll } from '../../l1l2/scan.js';
import { clearStoredCopied, setStoredCopied } from '../../l1l2/stored-scan.js';
import { BlockGroups } from '../../refcount/block-groups.js';
import type {
  FlaggedTables,
  MendedTables,
  NewL2Table,
  NewTables,
  RefcountBlocks,
  TableContent,
} from './table-content.js';

/**
 * Turns what was read of a table (or zeros) into the new table, in place: the bytes from `from` on, which are all of them
 * or whole sectors.
 */
export type TableMaker = (index: number, part: Uint8Array, from?: number) => void;

const SECTOR_BYTES = 512;

/** The function that makes tables of this content. It has working memory of its own, and no state. */
export function tableMaker(content: TableContent): TableMaker {
  switch (content.kind) {
    case 'as-read':
      return (index, table) => {
        if (index === 0 && content.head !== undefined) table.set(content.head);
      };
    case 'encrypted':
      return (index, cluster) => {
        content.encrypt(cluster, content.places[index]! / SECTOR_BYTES);
      };
    case 'refcounts':
      return blockMaker(content);
    case 'flags':
      return flagMaker(content);
    case 'new':
      return (index, table) => {
        const words = wordsInPlace(table);
        const made = content.tables[index]!;
        setNewEntries(words, made, content);
        if (made.snapshot === undefined) setCopied(words, content.scan, content.counts);
        swapWords(words);
        // The flag means something in the active disk's tables alone.
        if (made.snapshot !== undefined) clearStoredCopied(table, content.scan);
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
function flagMaker({ scan, counts, isShared, moved, zeros }: FlaggedTables): TableMaker {
  const runs = newRuns(scan);
  return (index, part) => {
    if (zeros !== undefined) {
      const words = wordsInPlace(part);
      replaceZeros(words, zeros.dataAt[index]!, scan.format.geometry.clusterBytes);
      swapWords(words);
    }
    if (moved !== undefined) {
      const words = wordsInPlace(part);
      moveEntries(words, scan, moved);
      swapWords(words);
    }
    if (isShared[index] === 1) clearStoredCopied(part, scan);
    else setStoredCopied(storedWords(part), scan, counts, runs);
  };
}

/** Sets the entries of a new table, in words that are 0. */
export function setNewEntries(
  words: Uint32Array,
  { words: known, runs }: NewL2Table,
  { dataAt, places, scan }: Pick<NewTables, 'dataAt' | 'places' | 'scan'>,
): void {
  const { geometry } = scan.format;
  if (known !== undefined) words.set(known);
  for (const { first, count, kind, dataCluster } of runs) {
    for (let i = 0; i < count; i++) {
      const cluster = dataCluster + i;
      if (kind === 'placed') setPlace(words, first + i, places[cluster]!, geometry);
      else {
        const at = kind === 'zero' ? 0 : dataAt + cluster * geometry.clusterBytes;
        setNewEntry(words, first + i, kind, at, geometry);
      }
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
