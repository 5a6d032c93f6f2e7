import { newIoBytes } from '../base/io-bytes.js';
import { KiB, MiB } from '../base/units.js';
import { storedWords, swapWords, wordsInPlace } from '../base/words.js';
import type { BlockSource } from '../io/device.js';
import { tableReads } from '../io/table-reads.js';

/**
 * Bytes of tables that are read at a time. The first batch is small, so that work can begin soon. Each next one is twice
 * as long, up to the length that keeps a disk busy. Two buffers take turns.
 */
const FIRST_BATCH_BYTES = 256 * KiB;
const BATCH_BYTES = 2 * MiB;

/** `walkStoredTables` with the words as (high, low) pairs in host order. */
export function walkTables(
  source: BlockSource,
  offsets: Float64Array,
  tableBytes: number,
  visit: (index: number, words: Uint32Array) => void,
): Promise<void> {
  return walkStoredTables(source, offsets, tableBytes, (index, words) => {
    swapWords(words);
    visit(index, words);
  });
}

/**
 * Hands every table to `visit`, in the order given, as words of the bytes in the file. Tables are read
 * in large batches, and the next batch is on its way while one is visited.
 *
 * @param offsets host offsets; ascending order reads fastest.
 * @param visit synchronous; the words are only lent to it and may be changed.
 */
export async function walkStoredTables(
  source: BlockSource,
  offsets: Float64Array,
  tableBytes: number,
  visit: (index: number, words: Uint32Array) => void,
): Promise<void> {
  const most = Math.min(Math.max(1, Math.floor(BATCH_BYTES / tableBytes)), offsets.length);
  const buffers = [0, 1].map(() => newIoBytes(most * tableBytes));
  let asked = 0;
  let batches = 0;
  const readOn = async (): Promise<Uint8Array> => {
    const first = asked;
    const tables = Math.floor((FIRST_BATCH_BYTES * 2 ** batches) / tableBytes);
    asked = Math.min(first + Math.max(1, Math.min(tables, most)), offsets.length);
    const buffer = buffers[batches++ % 2]!.subarray(0, (asked - first) * tableBytes);
    await source.readBatch(tableReads(offsets, first, asked, tableBytes, buffer));
    return buffer;
  };
  let next = asked < offsets.length ? readOn() : undefined;
  try {
    for (let index = 0; next !== undefined;) {
      const words = storedWords(await next);
      next = asked < offsets.length ? readOn() : undefined;
      // Whoever waits for it gets its error: the next round, or nobody.
      next?.catch(() => undefined);
      const tableWords = tableBytes / 4;
      for (let at = 0; at < words.length; at += tableWords) {
        visit(index++, words.subarray(at, at + tableWords));
      }
    }
  } finally {
    await next?.catch(() => undefined);
  }
}

/** Reads one table of 8-byte entries, such as an L1 or refcount table, as host-order words. */
export async function readTable(
  source: BlockSource,
  at: number,
  entries: number,
): Promise<Uint32Array> {
  const bytes = new Uint8Array(entries * 8);
  if (entries > 0) await source.readBatch([{ at, into: bytes }]);
  return wordsInPlace(bytes);
}
