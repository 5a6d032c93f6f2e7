/** Where ranges of a file hold bytes that are not zeros. Holes are not read. */
import { isZero } from '../base/bytes.js';
import { newIoBytes } from '../base/io-bytes.js';
import { KiB, MiB } from '../base/units.js';
import type { BlockSource, ByteRange } from './device.js';
import { stretchesOf } from './holes.js';

const SECTOR_BYTES = 512;
/** Bytes and ranges that are read at a time. Ours. */
const BATCH_BYTES = 4 * MiB;
const BATCH_RANGES = 1024;
/** A shorter range is read in less time than the system takes to tell its holes. Ours. */
const ASK_FROM_BYTES = 256 * KiB;

/** A range that was read, or a part of one. */
export interface ReadStretch extends ByteRange {
  /** Until the next batch is asked for. */
  readonly bytes: Uint8Array;
}

/** What one look at some ranges found. */
export interface NonZero {
  /** Sectors of 512 bytes that are not zeros, neighbours joined, as far as they lie in the ranges. */
  readonly sectors: readonly ByteRange[];
  /** The stretches that were read and hold such sectors. */
  readonly stretches: readonly ReadStretch[];
  /** Bytes of the ranges that were looked at so far, holes included. */
  readonly doneBytes: number;
}

/** A part of a range, and how many bytes of all ranges lie before its end. */
interface Part extends ByteRange {
  readonly doneBytes: number;
}

/**
 * Looks through ranges batch by batch. A batch without such bytes is yielded as well, so that the caller can stop.
 *
 * @param ranges that do not overlap.
 * @throws QsnapError READ_FAILED.
 */
export async function* nonZeroIn(
  source: BlockSource,
  ranges: readonly ByteRange[],
): AsyncGenerator<NonZero> {
  const totalBytes = ranges.reduce((sum, { length }) => sum + length, 0);
  const buffer = newIoBytes(Math.min(BATCH_BYTES, totalBytes));
  for await (const parts of batchesOf(partsOf(source, ranges))) {
    yield await look(source, parts, buffer);
  }
}

async function look(
  source: BlockSource,
  parts: readonly Part[],
  buffer: Uint8Array,
): Promise<NonZero> {
  let used = 0;
  const reads = parts.map(({ at, length }) => {
    used += length;
    return { at, into: buffer.subarray(used - length, used) };
  });
  await source.readBatch(reads);
  const found = reads.map(({ at, into }) => nonZeroSectors(at, into));
  return {
    sectors: found.flat(),
    stretches: parts.flatMap(({ at, length }, i) => {
      return found[i]!.length > 0 ? [{ at, length, bytes: reads[i]!.into }] : [];
    }),
    doneBytes: parts.at(-1)!.doneBytes,
  };
}

/** The parts of ranges that are no holes, none larger than a batch. */
async function* partsOf(source: BlockSource, ranges: readonly ByteRange[]): AsyncGenerator<Part> {
  let before = 0;
  for (const range of ranges) {
    for await (const { at, length } of dataOf(source, range)) {
      for (let from = at; from < at + length; from += BATCH_BYTES) {
        const end = Math.min(from + BATCH_BYTES, at + length);
        yield { at: from, length: end - from, doneBytes: before + end - range.at };
      }
    }
    before += range.length;
  }
}

async function* dataOf(source: BlockSource, range: ByteRange): AsyncGenerator<ByteRange> {
  if (range.length < ASK_FROM_BYTES) {
    yield range;
    return;
  }
  for await (const stretches of stretchesOf(source, range.at, range.length)) {
    for (const stretch of stretches) if (!stretch.isHole) yield stretch;
  }
}

async function* batchesOf(parts: AsyncIterable<Part>): AsyncGenerator<readonly Part[]> {
  let batch: Part[] = [];
  let bytes = 0;
  for await (const part of parts) {
    if (bytes + part.length > BATCH_BYTES || batch.length === BATCH_RANGES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(part);
    bytes += part.length;
  }
  if (batch.length > 0) yield batch;
}

function nonZeroSectors(at: number, bytes: Uint8Array): readonly ByteRange[] {
  if (isZero(bytes)) return [];
  const sectors: { at: number; length: number }[] = [];
  const end = at + bytes.length;
  for (let from = at; from < end;) {
    const to = Math.min(from - (from % SECTOR_BYTES) + SECTOR_BYTES, end);
    if (!isZero(bytes, from - at, to - at)) {
      const last = sectors.at(-1);
      if (last !== undefined && last.at + last.length === from) last.length += to - from;
      else sectors.push({ at: from, length: to - from });
    }
    from = to;
  }
  return sectors;
}
