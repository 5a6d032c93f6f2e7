import { COMPRESSED, COPIED, offsetOf } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';
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

/**
 * Sets the COPIED flag of every entry with an offset other than 0. (An entry with the offset 0 is left: there the flag
 * alone tells whether it names data.) Returns whether a flag was missing.
 *
 * QEMU: block/qcow2-refcount.c, check_oflag_copied.
 */
export function setCopiedOfAll(words: Uint32Array, { stride }: Scan): boolean {
  let changed = false;
  for (let i = 0; i < words.length; i += stride) {
    const high = words[i]!;
    if ((high & (COMPRESSED | COPIED)) !== 0 || offsetOf(high, words[i + 1]!) === 0) continue;
    words[i] = (high | COPIED) >>> 0;
    changed = true;
  }
  return changed;
}
