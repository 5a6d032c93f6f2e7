import { walkStoredTables } from '../image/walk.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../l1l2/entry.js';
import { NO_PROBLEM, type Scan } from '../l1l2/scan.js';
import { addStoredReferences, anyStoredCopiedWrong, newTableFacts } from '../l1l2/stored-scan.js';
import type { L2Tally } from '../l1l2/tally.js';
import type { Audit } from './audit.js';
import { refcountOverflow, type Ledger } from './ledger.js';
import type { Survey } from './survey.js';

/** What moving refcounts changed. */
export interface Moved {
  readonly any: boolean;
  /**
   * By index in the tally: 1 where flags of a table that a single written L1 points at were seen to be
   * wrong on the way. A count that moves later may make them right again, seldom; a copy does no harm.
   */
  readonly flagsWrong: Uint8Array;
}

/**
 * Moves the refcounts of guest data to the new state: every L2 table whose number of pointers
 * changes passes the difference on to all that it refers to. What counts down goes first, so that
 * a count that ends in range never leaves it on the way.
 *
 * @throws QsnapError REFCOUNT_OVERFLOW.
 */
export async function moveDataRefcounts(
  from: Survey,
  audited: Audit,
  ledger: Ledger,
): Promise<Moved> {
  const { image, tally } = from;
  const { offsets, before, kept, written } = tally;
  const difference = (index: number): number => kept[index]! + written[index]! - before[index]!;
  const down = indexesWhere(offsets.length, (index) => difference(index) < 0);
  const up = indexesWhere(offsets.length, (index) => difference(index) > 0);
  const facts = newTableFacts();
  const flagsWrong = new Uint8Array(offsets.length);
  for (const indexes of [down, up]) {
    const at = Float64Array.from(indexes, (index) => offsets[index]!);
    await walkStoredTables(image.source, at, image.geometry.clusterBytes, (i, words) => {
      const index = indexes[i]!;
      const { scan } = audited;
      const problem = addStoredReferences(words, scan, difference(index), ledger.counts, facts);
      if (problem !== NO_PROBLEM) throw overflowAt(words, problem, scan);
      if (facts.isPlain && isAlone(tally, index)) {
        flagsWrong[index] = anyStoredCopiedWrong(words, scan, ledger.counts) ? 1 : 0;
      }
    });
  }
  return { any: down.length + up.length > 0, flagsWrong };
}

function overflowAt(words: Uint32Array, entry: number, scan: Scan): Error {
  const high = words[entry * scan.stride]!;
  const low = words[entry * scan.stride + 1]!;
  const target =
    (high & COMPRESSED) === 0
      ? offsetOf(high, low)
      : compressedExtent(high, low, scan.clusterBits).at;
  return refcountOverflow(target, scan.format.geometry.refcountBits);
}

/** Whether a single L1 points at the table, one that the edit writes: then its flags mean something. */
function isAlone({ kept, written }: L2Tally, index: number): boolean {
  return written[index] === 1 && kept[index] === 0;
}

/**
 * Indexes in the tally of L2 tables that need a new copy because a COPIED flag in them is to
 * change. A table that two L1s point at has no flag set; one that a single L1 points at has them
 * by the refcounts. Tables that only untouched L1s point at keep theirs: flags of inactive tables
 * mean nothing. Spec: L2 table entry, bit 63.
 *
 * @param moved undefined where no refcount of guest data has changed.
 */
export async function tablesToCopy(
  from: Survey,
  audited: Audit,
  ledger: Ledger,
  moved: Moved | undefined,
): Promise<readonly number[]> {
  const { image, tally } = from;
  const { offsets, kept, written } = tally;
  const pointers = (index: number): number => kept[index]! + written[index]!;
  const shared = indexesWhere(
    offsets.length,
    (i) => written[i]! > 0 && pointers(i) > 1 && audited.hasCopied[i] === 1,
  );
  if (moved === undefined) return shared;
  const alone = indexesWhere(offsets.length, (i) => isAlone(tally, i));
  const wrong = alone.filter((i) => moved.flagsWrong[i] === 1);
  const unsure = alone.filter((i) => moved.flagsWrong[i] === 0);
  const at = Float64Array.from(unsure, (index) => offsets[index]!);
  await walkStoredTables(image.source, at, image.geometry.clusterBytes, (i, words) => {
    if (anyStoredCopiedWrong(words, audited.scan, ledger.counts)) wrong.push(unsure[i]!);
  });
  return [...shared, ...wrong].sort((a, b) => a - b);
}

function indexesWhere(length: number, test: (index: number) => boolean): number[] {
  const indexes: number[] = [];
  for (let index = 0; index < length; index++) if (test(index)) indexes.push(index);
  return indexes;
}
