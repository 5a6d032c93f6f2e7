import { KiB } from '../../base/units.js';
import type { RamBlock } from '../../vmstate/stream.js';
import type { VmStateSource } from './source.js';

/** Bytes of a bitmap that are read at a time: for 2 GiB of RAM. */
const BITMAP_BYTES = 64 * KiB;

/** A stretch of a RAM block whose pages lie in the stream as they are. */
export interface MappedRun {
  readonly offset: number;
  /** Byte offset in the stream. */
  readonly at: number;
  readonly length: number;
}

/** The pages of a block of a mapped-ram stream that are stored, ascending; none for any other block. */
export async function* mappedRuns(
  source: VmStateSource,
  { bytes, mapped }: RamBlock,
): AsyncGenerator<MappedRun> {
  if (mapped === undefined) return;
  const { pageBytes, bitmapAt, pagesAt } = mapped;
  const pages = Math.ceil(bytes / pageBytes);
  const bitmap = new Uint8Array(BITMAP_BYTES);
  let from = -1;
  const runTo = (page: number): MappedRun => {
    const offset = from * pageBytes;
    from = -1;
    return { offset, at: pagesAt + offset, length: Math.min(page * pageBytes, bytes) - offset };
  };
  for (let first = 0; first < pages; first += BITMAP_BYTES * 8) {
    await source.readBatch([{ at: bitmapAt + first / 8, into: bitmap }]);
    const count = Math.min(pages - first, BITMAP_BYTES * 8);
    for (let i = 0; i < count; i += 1) {
      const isStored = (bitmap[i >>> 3]! & (1 << (i & 7))) !== 0;
      if (isStored && from === -1) from = first + i;
      else if (!isStored && from !== -1) yield runTo(first + i);
    }
  }
  if (from !== -1) yield runTo(pages);
}
