import { setCopiedOfAll, type Scan } from '../../l1l2/scan.js';
import { isChanged, type TableMender } from './mend-tables.js';

/**
 * Mends an L2 table of an image with an external data file, in place. Its entries name places in that file,
 * which is never opened: they count nowhere, may lie anywhere, and are never shared.
 *
 * @returns whether anything was mended.
 */
export function mendDataFileTable(
  words: Uint32Array,
  tableAt: number,
  mender: TableMender,
  scan: Scan,
): boolean {
  let mended = false;
  for (let index = 0; index * scan.stride < words.length; index++) {
    mended = isChanged(mender.mendL2(words, index, tableAt, scan)) || mended;
  }
  return setCopiedOfAll(words, scan) || mended;
}
