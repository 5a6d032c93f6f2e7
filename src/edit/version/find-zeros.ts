import type { OpenImage } from '../../image/image.js';
import { anyCompressed, visitZeroEntries } from '../../l1l2/zero-entries.js';
import { walkTables } from '../../refs/tables.js';

/** An L2 table with entries that read as zeros by their flag. */
export interface ZeroTable {
  /** Index in the pointers of a survey. */
  readonly index: number;
  /** How many such entries it has. */
  readonly entries: number;
  /** Host offsets of clusters that are kept for them, with each as often as it is. */
  readonly kept: readonly number[];
}

/** What version 2 has not. */
export interface Zeros {
  /** In the order of the survey. */
  readonly tables: readonly ZeroTable[];
  readonly anyCompressed: boolean;
}

/** Looks at every L2 table once. */
export async function findZeros(image: OpenImage, offsets: Float64Array): Promise<Zeros> {
  const tables: ZeroTable[] = [];
  let isAnyCompressed = false;
  await walkTables(image.source, offsets, image.geometry.clusterBytes, (index, words) => {
    let entries = 0;
    const kept: number[] = [];
    visitZeroEntries(words, (offset) => {
      entries += 1;
      if (offset !== 0) kept.push(offset);
    });
    if (entries > 0) tables.push({ index, entries, kept });
    isAnyCompressed ||= anyCompressed(words);
  });
  return { tables, anyCompressed: isAnyCompressed };
}
