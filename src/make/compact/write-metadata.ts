import { MiB, roundUp } from '../../base/units.js';
import { bytesOfWords, HIGH_WORD } from '../../base/words.js';
import type { WriteRequest } from '../../io/device.js';
import { COPIED, offsetOf } from '../../l1l2/entry.js';
import { walkTables } from '../../refs/tables.js';
import type { WriteQueue } from '../new/write-queue.js';
import type { Placement } from './placement.js';
import type { SourceDisk, SourceTables } from './source-tables.js';

/** Bytes of tables that are written together. */
const BATCH_BYTES = 2 * MiB;

/**
 * Writes the L2 tables, when all that they lead to has its place.
 *
 * @throws QsnapError READ_FAILED, WRITE_FAILED, NO_SPACE.
 */
export async function writeL2Tables(
  source: SourceTables,
  placement: Placement,
  queue: WriteQueue,
): Promise<void> {
  const { image, tables, isActive, format } = source;
  const { clusterBytes } = format.geometry;
  const most = Math.max(1, Math.floor(BATCH_BYTES / clusterBytes));
  for (let first = 0; first < tables.length; first += most) {
    const some = tables.subarray(first, first + most);
    const requests: WriteRequest[] = [];
    await walkTables(image.source, some, clusterBytes, (i, words) => {
      const at = placement.tables[first + i]!;
      if (at === 0) return;
      placement.renew(words, isActive[first + i] === 1);
      requests.push({ at, bytes: bytesOfWords(words) });
    });
    await queue.inTurn([requests]);
  }
}

/** The L1 table of a disk in the new image, in whole clusters. */
export function encodeL1(
  { snapshot, l1 }: SourceDisk,
  source: SourceTables,
  placement: Placement,
): Uint8Array {
  const { clusterBytes } = placement;
  const words = new Uint32Array(roundUp(l1.length * 4, clusterBytes) / 4);
  for (let i = 0; i < l1.length; i += 2) {
    const old = offsetOf(l1[i]!, l1[i + 1]!);
    const at = old === 0 ? 0 : placement.tableAt(old);
    if (at === 0) continue;
    const isOnly = snapshot === undefined && source.pointers[source.indexes.get(old)!] === 1;
    words[i] = ((isOnly ? COPIED : 0) | Math.floor(at / HIGH_WORD)) >>> 0;
    words[i + 1] = at >>> 0;
  }
  return bytesOfWords(words);
}
