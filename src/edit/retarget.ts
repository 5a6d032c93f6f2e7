import { walkStoredTables } from '../image/walk.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../l1l2/entry.js';
import { NO_PROBLEM } from '../l1l2/scan.js';
import { addStoredReferences, anyStoredCopiedWrong, newTableFacts } from '../l1l2/stored-scan.js';
import type { Audit } from './audit.js';
import { refcountOverflow, type Ledger } from './ledger.js';
import type { Survey } from './survey.js';

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
): Promise<boolean> {
  const { image, tally } = from;
  const { offsets, before, kept, written } = tally;
  const difference = (index: number): number => kept[index]! + written[index]! - before[index]!;
  const down = indexesWhere(offsets.length, (index) => difference(index) < 0);
  const up = indexesWhere(offsets.length, (index) => difference(index) > 0);
  const facts = newTableFacts();
  for (const indexes of [down, up]) {
    const at = Float64Array.from(indexes, (index) => offsets[index]!);
    await walkStoredTables(image.source, at, image.geometry.clusterBytes, (i, words) => {
      const by = difference(indexes[i]!);
      const { scan } = audited;
      const problem = addStoredReferences(words, scan, by, ledger.counts, facts);
      if (problem === NO_PROBLEM) return;
      const high = words[problem * scan.stride]!;
      const low = words[problem * scan.stride + 1]!;
      const target =
        (high & COMPRESSED) === 0
          ? offsetOf(high, low)
          : compressedExtent(high, low, scan.clusterBits).at;
      throw refcountOverflow(target, image.geometry.refcountBits);
    });
  }
  return down.length + up.length > 0;
}

/**
 * Indexes in the tally of L2 tables that need a new copy because a COPIED flag in them is to
 * change. A table that two L1s point at has no flag set; one that a single L1 points at has them
 * by the refcounts. Tables that only untouched L1s point at keep theirs: flags of inactive tables
 * mean nothing. Spec: L2 table entry, bit 63.
 */
export async function tablesToCopy(
  from: Survey,
  audited: Audit,
  ledger: Ledger,
  refcountsMoved: boolean,
): Promise<readonly number[]> {
  const { image, tally } = from;
  const { offsets, kept, written } = tally;
  const pointers = (index: number): number => kept[index]! + written[index]!;
  const shared = indexesWhere(
    offsets.length,
    (i) => written[i]! > 0 && pointers(i) > 1 && audited.hasCopied[i] === 1,
  );
  if (!refcountsMoved) return shared;
  const alone = indexesWhere(offsets.length, (i) => written[i] === 1 && pointers(i) === 1);
  const at = Float64Array.from(alone, (index) => offsets[index]!);
  const wrong: number[] = [];
  await walkStoredTables(image.source, at, image.geometry.clusterBytes, (i, words) => {
    if (anyStoredCopiedWrong(words, audited.scan, ledger.counts)) wrong.push(alone[i]!);
  });
  return [...shared, ...wrong].sort((a, b) => a - b);
}

function indexesWhere(length: number, test: (index: number) => boolean): number[] {
  const indexes: number[] = [];
  for (let index = 0; index < length; index++) if (test(index)) indexes.push(index);
  return indexes;
}
