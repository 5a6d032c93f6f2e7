/** Where a file has holes: as its source can tell, or by reading it. */
import { isZero } from '../base/bytes.js';
import { newIoBytes } from '../base/io-bytes.js';
import { KiB, MiB, roundUp } from '../base/units.js';
import type { BlockSource, FileStretch } from './device.js';
import { readAhead } from './read-ahead.js';
import { settled } from './settled.js';

/** Where the system can't tell holes, an aligned block of this size that reads as zeros counts as one. Ours. */
const HOLE_BYTES = 4 * KiB;

/** Bytes that are looked through at a time. */
const LOOK_BYTES = 4 * MiB;

/** Whether a source can tell its holes without being read. */
export async function tellsHoles(source: BlockSource): Promise<boolean> {
  return (await source.stretchesFrom?.(0, 1)) !== undefined;
}

/**
 * The stretches of a part of a file, in batches. If the source can't tell them, but the file takes less room than it is
 * long, blocks of zeros are looked for. Any other file is all data.
 */
export async function* stretchesOf(
  source: BlockSource,
  at: number,
  length: number,
): AsyncGenerator<readonly FileStretch[]> {
  const end = at + length;
  let from = at;
  while (from < end) {
    const told = await source.stretchesFrom?.(from, end);
    const last = told?.at(-1);
    if (told === undefined || last === undefined) break;
    yield told;
    from = last.at + last.length;
  }
  if (from >= end) return;
  if (await hasRoomForAll(source)) yield [{ at: from, length: end - from, isHole: false }];
  else yield* stretchesByReading(source, from, end - from);
}

async function hasRoomForAll(source: BlockSource): Promise<boolean> {
  const [bytes, allocated] = await settled([source.sizeBytes(), source.allocatedBytes?.()]);
  return allocated === undefined || allocated >= bytes;
}

/**
 * The stretches of a part of a file, in batches, by looking for blocks of zeros; the next blocks are on
 * their way meanwhile.
 */
async function* stretchesByReading(
  source: BlockSource,
  at: number,
  length: number,
): AsyncGenerator<readonly FileStretch[]> {
  const end = at + length;
  // Blocks are the file's, wherever the part begins and ends in them.
  const firstBlock = at - (at % HOLE_BYTES);
  for await (const read of readAhead(blocksOf(source, firstBlock, roundUp(end, HOLE_BYTES)))) {
    yield stretchesIn(read.bytes, read.at, at, end);
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
function stretchesIn(
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
