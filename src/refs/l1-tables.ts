import { MiB } from '../base/units.js';
import { wordsInPlace } from '../base/words.js';
import type { BlockSource } from '../io/device.js';
import { judgeL1Entry, type TableFormat } from '../l1l2/entry.js';
import type { L1Ref } from '../qcow2/header.js';
import { damagedEntry } from '../image/damage.js';

/** Bytes of L1 tables in memory at a time; a single longer table is read whole (32 MiB at most). */
const BATCH_BYTES = 4 * MiB;

/**
 * Hands every L1 table to `visit`, in the order given, as host-order words; many small tables are
 * read together.
 *
 * @param visit synchronous; may keep the words.
 */
export async function visitL1Tables(
  source: BlockSource,
  refs: readonly L1Ref[],
  visit: (index: number, words: Uint32Array) => void,
): Promise<void> {
  for (let first = 0; first < refs.length;) {
    let end = first;
    let bytes = 0;
    do bytes += refs[end++]!.entries * 8;
    while (end < refs.length && bytes + refs[end]!.entries * 8 <= BATCH_BYTES);
    const tables = refs.slice(first, end).map((ref) => new Uint8Array(ref.entries * 8));
    await source.readBatch(tables.map((into, i) => ({ at: refs[first + i]!.at, into })));
    for (const table of tables) visit(first++, wordsInPlace(table));
  }
}

/**
 * Refuses an L1 table with an entry that can't be right.
 *
 * @throws QsnapError IMAGE_DAMAGED with the offset of the entry.
 */
export function checkL1Table(
  structure: string,
  ref: L1Ref,
  words: Uint32Array,
  format: TableFormat,
): void {
  for (let i = 0; i < words.length; i += 2) {
    const high = words[i]!;
    const low = words[i + 1]!;
    if ((high | low) === 0) continue;
    const problem = judgeL1Entry(high, low, format);
    if (problem !== undefined) {
      throw damagedEntry(structure, ref.at + i * 4, problem, high, low);
    }
  }
}
