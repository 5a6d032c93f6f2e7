import { isZero } from '../base/bytes.js';
import { newIoBytes } from '../base/io-bytes.js';
import { KiB, MiB, roundUp } from '../base/units.js';
import type { BlockSource } from '../io/device.js';
import { readAhead } from '../io/read-ahead.js';

/**
 * What a hole of a file begins and ends at. Ours: Node can't ask the system where holes are, so
 * blocks of this size that read as zeros count as holes of a file that has any.
 */
export const HOLE_BYTES = 4 * KiB;

/** Bytes that are looked through at a time. */
const LOOK_BYTES = 4 * MiB;

/** A stretch of a file, and whether it is a hole. */
export interface FileStretch {
  readonly at: number;
  readonly length: number;
  readonly isHole: boolean;
}

/** A source that knows how much of it is on the medium, as files do. */
export interface SparseSource extends BlockSource {
  /** Bytes that the file takes on its medium. */
  allocatedBytes(): Promise<number>;
}

/** Whether a source can tell how much of it is on the medium. */
export function isSparseSource(source: BlockSource): source is SparseSource {
  return 'allocatedBytes' in source && typeof source.allocatedBytes === 'function';
}

/** How much of a file is on its medium: all, nothing, or some of it; "all" where nobody can tell. */
export async function allocationOf(source: BlockSource): Promise<'all' | 'some' | 'nothing'> {
  if (!isSparseSource(source)) return 'all';
  const [bytes, allocated] = await Promise.all([source.sizeBytes(), source.allocatedBytes()]);
  if (allocated >= bytes) return 'all';
  return allocated === 0 ? 'nothing' : 'some';
}

/**
 * The stretches of a part of a file, in batches, by looking for blocks of zeros; the next blocks are on
 * their way meanwhile.
 */
export async function* stretchesByReading(
  source: BlockSource,
  at: number,
  length: number,
): AsyncGenerator<readonly FileStretch[]> {
  const end = at + length;
  // Blocks are the file's, wherever the part begins and ends in them.
  const firstBlock = at - (at % HOLE_BYTES);
  for await (const read of readAhead(blocksOf(source, firstBlock, roundUp(end, HOLE_BYTES)))) {
    yield stretchesOf(read.bytes, read.at, at, end);
  }
}

/** Whole blocks of a file, many at a time. Two buffers take turns: the bytes last until the next but one. */
async function* blocksOf(
  source: BlockSource,
  first: number,
  end: number,
): AsyncGenerator<{ readonly at: number; readonly bytes: Uint8Array }> {
  const most = Math.min(LOOK_BYTES, end - first);
  const buffers: Uint8Array[] = [];
  for (let at = first, batch = 0; at < end; at += most, batch++) {
    const buffer = (buffers[batch % 2] ??= newIoBytes(most));
    const bytes = buffer.subarray(0, end - at);
    await source.readBatch([{ at, into: bytes }]);
    yield { at, bytes };
  }
}

/** What of whole blocks from `blocksAt` on lies between `from` and `to`. */
function stretchesOf(
  bytes: Uint8Array,
  blocksAt: number,
  from: number,
  to: number,
): readonly FileStretch[] {
  const stretches: { at: number; length: number; isHole: boolean }[] = [];
  for (let block = 0; block < bytes.length; block += HOLE_BYTES) {
    const isHole = isZero(bytes, block, block + HOLE_BYTES);
    const at = Math.max(from, blocksAt + block);
    const length = Math.min(to, blocksAt + block + HOLE_BYTES) - at;
    const last = stretches.at(-1);
    if (last?.isHole === isHole) last.length += length;
    else stretches.push({ at, length, isHole });
  }
  return stretches;
}
