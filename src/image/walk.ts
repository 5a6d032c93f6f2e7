import { newIoBytes } from '../base/io-bytes.js';
import { MiB } from '../base/units.js';
import { storedWords, swapWords, wordsInPlace } from '../base/words.js';
import type { BlockSource } from '../io/device.js';
import { tableReads } from '../io/table-reads.js';

/** Bytes of tables in memory at a time; two such buffers take turns. */
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
  const perBatch = Math.min(Math.max(1, Math.floor(BATCH_BYTES / tableBytes)), offsets.length);
  const buffers = [0, 1].map(() => newIoBytes(perBatch * tableBytes));
  const read = async (first: number): Promise<Uint8Array> => {
    const buffer = buffers[(first / perBatch) % 2]!;
    const end = Math.min(first + perBatch, offsets.length);
    await source.readBatch(tableReads(offsets, first, end, tableBytes, buffer));
    return buffer.subarray(0, (end - first) * tableBytes);
  };
  let next = offsets.length > 0 ? read(0) : undefined;
  for (let first = 0; next !== undefined; first += perBatch) {
    const words = storedWords(await next);
    next = first + perBatch < offsets.length ? read(first + perBatch) : undefined;
    // A failure of `visit` must not leave the read that is under way without anyone to take its error.
    next?.catch(() => undefined);
    const tableWords = tableBytes / 4;
    for (let i = 0; i * tableWords < words.length; i++) {
      visit(first + i, words.subarray(i * tableWords, (i + 1) * tableWords));
    }
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
