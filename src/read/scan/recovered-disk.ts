import { utf8Bytes } from '../../base/text.js';
import { hinted } from '../../base/hints.js';
import { QsnapError } from '../../errors.js';
import type { ByteRange, ReadRequest } from '../../io/device.js';
import { viewOf } from '../../io/view.js';
import type { OpenImage } from '../../image/image.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { GuestDisk } from '../guest/disk.js';
import { isDiskCandidate, type Candidate } from './candidate.js';
import type { ScanBasis } from './scan-image.js';

/** The image as if it still had the disk of a candidate, for reading. */
export interface ImageWithCandidate {
  readonly image: OpenImage;
  /** Its only snapshot. */
  readonly snapshot: Snapshot;
}

/**
 * The image as if its only snapshot were a candidate, so that the disk of the candidate can be read as any other.
 *
 * ```ts
 * const { basis, candidates } = await scanImage(device);
 * const { image, snapshot } = imageWithCandidate(basis, candidates[0]!);
 * const disk = await openGuestDisk(image, { snapshot, onLost: () => undefined });
 * ```
 *
 * @throws QsnapError CANDIDATE_INVALID for a candidate that is no disk, and where the image has no header to read it by.
 */
export function imageWithCandidate(
  { ground: { image, source } }: ScanBasis,
  candidate: Candidate,
): ImageWithCandidate {
  const { l1, number, at } = candidate;
  if (!isDiskCandidate(candidate) || l1 === undefined) {
    throw new QsnapError('CANDIDATE_INVALID', `candidate ${number} is no disk`, {
      ...{ at, expected: 'a snapshot or an L1 table', actual: candidate.kind },
    });
  }
  if (image === undefined) {
    throw new QsnapError('CANDIDATE_INVALID', 'without a header no candidate can be read', {
      ...hinted('rescue-without-header'),
      file: source.label,
    });
  }
  const snapshot = { ...(candidate.snapshot ?? unnamed(candidate, image)), index: 0, l1 };
  return { image: { ...image, snapshots: [snapshot] }, snapshot };
}

/** An L1 table without an entry: a disk as long as the active one. */
function unnamed({ number, at, l1 }: Candidate, { header }: OpenImage): Snapshot {
  const name = `candidate-${number}`;
  return {
    ...{
      index: 0,
      id: '1',
      idBytes: utf8Bytes('1'),
      name,
      nameBytes: utf8Bytes(name),
      nameIsUtf8: true,
    },
    ...{ date: { seconds: 0, nanoseconds: 0 }, vmClockNanoseconds: 0n, vmStateBytes: 0 },
    ...{ diskSizeBytes: header.diskSizeBytes, icount: undefined, l1: l1!, vmStateBytes32: 0 },
    ...{ extraData: new Uint8Array(0), at },
  };
}

/**
 * The same disk with zeros where the image has used its clusters for something else since: what is there now was never
 * on it.
 *
 * ```ts
 * const { basis, candidates } = await scanImage(device);
 * const { image, snapshot } = imageWithCandidate(basis, candidates[0]!);
 * const reused: { at: number; length: number }[] = [];
 * for await (const { start, length, state } of recoveredRanges(basis, snapshot)) {
 *   if (state === 'reused') reused.push({ at: start, length });
 * }
 * const disk = withoutReused(await openGuestDisk(image, { snapshot }), reused);
 * ```
 *
 * @param reused guest ranges, ascending.
 */
export function withoutReused(disk: GuestDisk, reused: readonly ByteRange[]): GuestDisk {
  if (reused.length === 0) return disk;
  const readBatch = async (requests: readonly ReadRequest[]): Promise<void> => {
    await disk.readBatch(requests);
    for (const { at, into } of requests) {
      const end = at + into.length;
      for (let i = firstBehind(reused, at); i < reused.length && reused[i]!.at < end; i += 1) {
        const { at: from, length } = reused[i]!;
        into.fill(0, Math.max(0, from - at), Math.min(into.length, from + length - at));
      }
    }
  };
  return viewOf(disk, new Map([['readBatch', readBatch]]));
}

/** The first range that ends behind a place. */
function firstBehind(ranges: readonly ByteRange[], at: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.at + ranges[middle]!.length <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
