import { hasSameBytes } from '../../base/bytes.js';
import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import type { ReadRequest } from '../../io/device.js';
import { settled } from '../../io/settled.js';
import type { GuestDisk } from '../guest/disk.js';
import type { DiffRange } from './diff-range.js';

/** Guest bytes of each disk that are read together: a multiple of every cluster size. */
const STEP_BYTES = 4 * MiB;

/** The two disks, to be read where their tables differ. */
export interface DiffContent {
  readonly a: GuestDisk;
  readonly b: GuestDisk;
  /** A faster way to tell whether two stretches are the same. */
  readonly isEqual?: ((a: Uint8Array, b: Uint8Array) => boolean) | undefined;
}

/** Compares the bytes of ranges; clusters or subclusters with the same ones become `same-content`. Nothing is joined. */
export async function* compareContent(
  batches: AsyncIterable<readonly DiffRange[]>,
  { a, b, isEqual = hasSameBytes }: DiffContent,
): AsyncGenerator<readonly DiffRange[]> {
  const unitBytes = b.l2EntryBytes === 16 ? b.clusterBytes / 32 : b.clusterBytes;
  let memory = new Uint8Array(0);
  for await (const ranges of batches) {
    for (const step of stepsOf(ranges)) {
      const bytes = step.reduce((sum, { length }) => sum + length, 0);
      if (memory.length < 2 * bytes) memory = newIoBytes(2 * bytes);
      const sides = [memory.subarray(0, bytes), memory.subarray(bytes, 2 * bytes)] as const;
      await settled([
        a.readBatch(requestsOf(step, sides[0])),
        b.readBatch(requestsOf(step, sides[1])),
      ]);
      const found: DiffRange[] = [];
      let used = 0;
      for (const { start, length, kind } of unitsOf(step, unitBytes)) {
        const [ours, others] = sides.map((side) => side.subarray(used, used + length));
        found.push({ start, length, kind: isEqual(ours!, others!) ? 'same-content' : kind });
        used += length;
      }
      yield found;
    }
  }
}

/** Each range cut where `unitBytes` begin. */
function* unitsOf(ranges: readonly DiffRange[], unitBytes: number): Generator<DiffRange> {
  for (const { start, length, kind } of ranges) {
    const end = start + length;
    for (let at = start; at < end;) {
      const to = Math.min(end, (Math.floor(at / unitBytes) + 1) * unitBytes);
      yield { start: at, length: to - at, kind };
      at = to;
    }
  }
}

/** The ranges in portions of bounded size. */
function* stepsOf(ranges: readonly DiffRange[]): Generator<readonly DiffRange[]> {
  let step: DiffRange[] = [];
  let bytes = 0;
  for (const range of unitsOf(ranges, STEP_BYTES)) {
    step.push(range);
    bytes += range.length;
    if (bytes < STEP_BYTES) continue;
    yield step;
    step = [];
    bytes = 0;
  }
  if (step.length > 0) yield step;
}

/** Reads of the ranges, one behind the other in memory. */
function requestsOf(ranges: readonly DiffRange[], memory: Uint8Array): ReadRequest[] {
  let used = 0;
  return ranges.map(({ start, length }) => {
    const into = memory.subarray(used, used + length);
    used += length;
    return { at: start, into };
  });
}
