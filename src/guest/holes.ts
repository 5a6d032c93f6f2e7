import { newIoBytes } from '../base/io-bytes.js';
import { KiB, MiB, roundUp } from '../base/units.js';
import type { BlockSource } from '../io/device.js';

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

/** The stretches of a part of a file, in batches, by looking for blocks of zeros. */
export async function* stretchesByReading(
  source: BlockSource,
  at: number,
  length: number,
): AsyncGenerator<readonly FileStretch[]> {
  const end = at + length;
  // Blocks are the file's, wherever the part begins and ends in them.
  const lastBlockEnd = roundUp(end, HOLE_BYTES);
  const firstBlock = at - (at % HOLE_BYTES);
  const buffer = newIoBytes(Math.min(LOOK_BYTES, lastBlockEnd - firstBlock));
  for (let from = firstBlock; from < end; from += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, lastBlockEnd - from));
    await source.readBatch([{ at: from, into: bytes }]);
    yield stretchesOf(bytes, from, at, end);
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

/** Whether all bytes from `from` to `to` are zero. */
export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to && (bytes.byteOffset + i) % 4 !== 0) if (bytes[i++] !== 0) return false;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + i, (to - i) >>> 2);
  for (const word of words) if (word !== 0) return false;
  i += words.length * 4;
  while (i < to) if (bytes[i++] !== 0) return false;
  return true;
}
