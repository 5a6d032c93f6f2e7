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

/** The stretches of a part of a file, in batches, by looking for zeros. */
export async function* stretchesByReading(
  source: BlockSource,
  at: number,
  length: number,
): AsyncGenerator<readonly FileStretch[]> {
  const end = at + length;
  const buffer = new Uint8Array(Math.min(LOOK_BYTES, roundUp(length, 4) + HOLE_BYTES));
  for (let from = at; from < end;) {
    // Blocks are those of the file, wherever the part begins.
    const block = Math.floor(from / HOLE_BYTES) * HOLE_BYTES;
    const to = Math.min(block + buffer.length - (buffer.length % HOLE_BYTES), end);
    const bytes = buffer.subarray(0, to - from);
    await source.readBatch([{ at: from, into: bytes }]);
    yield stretchesOf(bytes, from);
    from = to;
  }
}

function stretchesOf(bytes: Uint8Array, at: number): readonly FileStretch[] {
  const stretches: { at: number; length: number; isHole: boolean }[] = [];
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(from + HOLE_BYTES - ((at + from) % HOLE_BYTES), bytes.length);
    const isHole = isZero(bytes, from, to);
    const last = stretches.at(-1);
    if (last?.isHole === isHole) last.length += to - from;
    else stretches.push({ at: at + from, length: to - from, isHole });
    from = to;
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
