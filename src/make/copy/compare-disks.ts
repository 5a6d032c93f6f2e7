import { newIoBytes } from '../../base/io-bytes.js';
import type { GuestDisk } from '../../read/guest/disk.js';
import type { ReadRequest } from '../../io/device.js';
import { throwIfAborted } from '../../base/abort.js';
import { compareSteps, type ComparedDisks, type CompareStep } from './compare-steps.js';
import { Differences, type DifferentRange } from './differences.js';
import { readAhead } from '../../io/read-ahead.js';
import { settled } from '../../io/settled.js';

/** How two disks are compared. */
export interface CompareOptions {
  /**
   * Both are disks of one image (the active disk, snapshots) over the same backing files. Stretches that lie at the
   * same place of the same file are then equal, and are not read.
   */
  readonly sameImage?: boolean | undefined;
  /** Ranges that are kept (default 1000); all are counted. */
  readonly maxRanges?: number | undefined;
  /** Stop where the first difference is found. */
  readonly firstOnly?: boolean | undefined;
  /** A faster way to tell whether two stretches are the same. */
  readonly isEqual?: ((a: Uint8Array, b: Uint8Array) => boolean) | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a comparison found. All numbers are guest bytes. */
export interface CompareReport {
  /** Both read the same, the longer one zeros past the end of the shorter. */
  readonly same: boolean;
  readonly diskBytes: readonly [a: number, b: number];
  /** The first byte that differs. */
  readonly firstDifferenceAt: number | undefined;
  /** What differs, in whole sectors of 512 bytes, ascending; as many as were to be kept. */
  readonly ranges: readonly DifferentRange[];
  readonly rangeCount: number;
  readonly differentBytes: number;
  /** Up to here both were compared: everything, unless the first difference was enough. */
  readonly comparedBytes: number;
  /** Of these: known to be zero in both, and in the same place of the same file. */
  readonly zeroBytes: number;
  readonly sharedBytes: number;
}

interface LoadedStep extends CompareStep {
  /** Bytes of each piece, one after the other; undefined for a disk that is not read there. */
  readonly bytes: readonly (readonly [a: Uint8Array, b: Uint8Array])[];
}

/** One step is compared while the next is read. */
const STEPS_AT_ONCE = 2;

/**
 * Compares two virtual disks from the first byte to the last. Where they are of different sizes,
 * the longer one has to be zero past the end of the shorter.
 *
 * ```ts
 * await using golden = await image.disk('golden');
 * const { same, ranges } = await compareDisks(disk.guest, golden.guest, { maxRanges: 100 });
 * for (const { start, length } of ranges) console.log(start, length);
 * ```
 *
 * @throws QsnapError ABORTED, and what the disks throw.
 */
export async function compareDisks(
  a: GuestDisk,
  b: GuestDisk,
  options: CompareOptions = {},
): Promise<CompareReport> {
  const { signal, onProgress, isEqual } = options;
  const [aBytes, bBytes] = await settled([a.sizeBytes(), b.sizeBytes()]);
  const disks = { a, b, aBytes, bBytes, sameImage: options.sameImage === true };
  const differences = new Differences(options.maxRanges ?? 1000);
  let [comparedBytes, zeroBytes, sharedBytes] = [0, 0, 0];
  for await (const step of readAhead(loadedSteps(disks))) {
    throwIfAborted(signal, 'the comparison');
    for (const [index, { from }] of step.pieces.entries()) {
      const [left, right] = step.bytes[index]!;
      if (isEqual?.(left, right) !== true) differences.compare(left, right, from);
    }
    comparedBytes = step.to;
    zeroBytes += step.zeroBytes;
    sharedBytes += step.sharedBytes;
    onProgress?.(comparedBytes, Math.max(aBytes, bBytes));
    if (options.firstOnly === true && differences.firstAt !== undefined) break;
  }
  return {
    same: differences.firstAt === undefined,
    diskBytes: [aBytes, bBytes],
    firstDifferenceAt: differences.firstAt,
    ranges: differences.ranges,
    rangeCount: differences.rangeCount,
    differentBytes: differences.bytes,
    comparedBytes,
    zeroBytes,
    sharedBytes,
  };
}

/** Each step with its bytes, in memory that is used again two steps later. */
async function* loadedSteps(disks: ComparedDisks): AsyncGenerator<LoadedStep> {
  const memories = Array.from({ length: STEPS_AT_ONCE + 1 }, () => new Uint8Array(0));
  let turn = 0;
  for await (const step of compareSteps(disks)) {
    const needed = step.pieces.reduce((sum, { from, to, side }) => {
      return sum + (to - from) * (side === 'both' ? 2 : 1);
    }, 0);
    if (memories[turn]!.length < needed) memories[turn] = newIoBytes(needed);
    yield await loaded(step, disks, memories[turn]!);
    turn = (turn + 1) % memories.length;
  }
}

let zeros = new Uint8Array(0);

/** So many zeros. They are shared: nobody writes to them. */
function zerosOf(length: number): Uint8Array {
  if (zeros.length < length) zeros = new Uint8Array(length);
  return zeros.subarray(0, length);
}

async function loaded(
  step: CompareStep,
  { a, b }: ComparedDisks,
  memory: Uint8Array,
): Promise<LoadedStep> {
  const reads: { a: ReadRequest[]; b: ReadRequest[] } = { a: [], b: [] };
  let used = 0;
  const take = (side: 'a' | 'b', at: number, length: number): Uint8Array => {
    const into = memory.subarray(used, used + length);
    used += length;
    reads[side].push({ at, into });
    return into;
  };
  const bytes = step.pieces.map(({ from, to, side }): readonly [Uint8Array, Uint8Array] => {
    const length = to - from;
    return [
      side === 'b' ? zerosOf(length) : take('a', from, length),
      side === 'a' ? zerosOf(length) : take('b', from, length),
    ];
  });
  await settled([a.readBatch(reads.a), b.readBatch(reads.b)]);
  return { ...step, bytes };
}
