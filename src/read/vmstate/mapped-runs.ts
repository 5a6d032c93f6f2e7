import { isZero } from '../../base/bytes.js';
import { KiB } from '../../base/units.js';
import type { RamBlock } from '../../vmstate/stream.js';
import type { VmStateSource } from './source.js';
import { streamBudget } from './windows.js';

/** Bytes of a bitmap that are read at a time: for 2 GiB of RAM. */
const BITMAP_BYTES = 64 * KiB;

/** A stretch of a RAM block whose pages lie in the stream as they are. */
export interface MappedRun {
  readonly block: RamBlock;
  readonly offset: number;
  /** Byte offset in the stream. */
  readonly at: number;
  readonly length: number;
}

/**
 * The pages of the blocks of a mapped-ram stream that are stored, block by block, ascending; none for any other block. It
 * ends where there is more than the file can hold.
 */
export async function* mappedRuns(
  source: VmStateSource,
  blocks: readonly RamBlock[],
): AsyncGenerator<MappedRun> {
  let budget = streamBudget(source);
  const bitmap = new Uint8Array(BITMAP_BYTES);
  for (const block of blocks) {
    if (block.mapped === undefined) continue;
    const { pageBytes, bitmapAt, pagesAt } = block.mapped;
    // What is not mapped is not stored, whatever its bit says.
    const bytes = Math.min(block.bytes, Math.max(0, source.mappedBytes - pagesAt));
    const pages = Math.ceil(bytes / pageBytes);
    let from = -1;
    const runTo = (page: number): MappedRun => {
      const offset = from * pageBytes;
      const length = Math.min(page * pageBytes, bytes) - offset;
      from = -1;
      budget -= length;
      return { block, offset, at: pagesAt + offset, length };
    };
    for (let first = 0; first < pages; first += BITMAP_BYTES * 8) {
      await source.readBatch([{ at: bitmapAt + first / 8, into: bitmap }]);
      if (isZero(bitmap)) {
        if (from !== -1) yield runTo(first);
        continue;
      }
      budget -= BITMAP_BYTES;
      const count = Math.min(pages - first, BITMAP_BYTES * 8);
      for (let i = 0; i < count; i += 1) {
        const isStored = (bitmap[i >>> 3]! & (1 << (i & 7))) !== 0;
        if (isStored && from === -1) from = first + i;
        else if (!isStored && from !== -1) yield runTo(first + i);
        if (budget < 0) return;
      }
    }
    if (from !== -1) yield runTo(pages);
  }
}
