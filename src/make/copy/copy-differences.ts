import { viewOf } from '../../io/view.js';
import type { Extent, GuestDisk } from '../../read/guest/disk.js';
import type { ImageWriter } from '../new/image-writer.js';
import { copyDisk, type CopyOptions, type CopyReport } from './copy-disk.js';
import type { DifferentRange } from './differences.js';

/** How differences are copied. */
export type CopyDifferencesOptions = Pick<CopyOptions, 'onProgress' | 'signal'>;

/** Depth of what is left to the backing file of the new image. */
const LEFT_OUT = 1;

/**
 * Copies parts of a disk, such as those where it differs from another one. An overlay of these parts on the other disk
 * reads as this disk does: zeros are written as zero clusters, also where this disk has nothing. `writer.finish` is for
 * the caller to call.
 *
 * ```ts
 * const opened = await openImage(device);
 * const disk = await openGuestDisk(opened);
 * const patch = memoryDevice(new Uint8Array(0), 'patch', { growable: true });
 * const writer = await newRawWriter(patch, await disk.sizeBytes());
 * await copyDifferences(disk, diffDisks(opened, opened.snapshots[0], undefined), writer);
 * await writer.finish();
 * ```
 *
 * @param disk the one that is copied: the second of a diff.
 * @param ranges ascending, in batches. What lies past the end of the disk is left out.
 * @param writer of an overlay with clusters of this disk's size: larger ones are filled up with bytes of this disk.
 * @throws QsnapError what `copyDisk` throws, and what `ranges` throw.
 */
export function copyDifferences(
  disk: GuestDisk,
  ranges: AsyncIterable<readonly DifferentRange[]>,
  writer: ImageWriter,
  options: CopyDifferencesOptions = {},
): Promise<CopyReport> {
  const { onProgress, signal } = options;
  const changed = viewOf(
    disk,
    new Map<string, unknown>([
      ['extents', (from: number, to: number) => changedExtents(disk, ranges, from, to)],
      // Nothing is known of what the overlay will lie on.
      ['chain', []],
    ]),
  );
  return copyDisk(changed, writer, { below: LEFT_OUT, onProgress, signal });
}

/** The disk with all that is not in the ranges left to a layer below. */
async function* changedExtents(
  disk: GuestDisk,
  batches: AsyncIterable<readonly DifferentRange[]>,
  from: number,
  to: number,
): AsyncGenerator<readonly Extent[]> {
  let at = from;
  for await (const ranges of batches) {
    for (const near of groupsOf(ranges, from, to, disk)) {
      for await (const extents of partsOf(disk, near)) {
        const told: Extent[] = [];
        for (const extent of extents) {
          if (extent.start > at) told.push(leftOut(at, extent.start));
          told.push(extent);
          at = extent.start + extent.length;
        }
        yield told;
      }
    }
  }
  if (at < to) yield [leftOut(at, to)];
}

function leftOut(start: number, end: number): Extent {
  return { start, length: end - start, kind: 'data', depth: LEFT_OUT };
}

/** Ranges so near each other that one L2 table may map them, so that it is read once for all. */
function* groupsOf(
  ranges: readonly DifferentRange[],
  from: number,
  to: number,
  { clusterBytes, l2EntryBytes }: GuestDisk,
): Generator<readonly DifferentRange[]> {
  const nearBytes = clusterBytes ** 2 / Math.max(1, l2EntryBytes);
  let group: DifferentRange[] = [];
  for (const range of ranges) {
    const start = Math.max(from, range.start);
    const end = Math.min(to, range.start + range.length);
    if (end <= start) continue;
    const last = group.at(-1);
    if (last !== undefined && start - (last.start + last.length) >= nearBytes) {
      yield group;
      group = [];
    }
    group.push({ start, length: end - start });
  }
  if (group.length > 0) yield group;
}

/** The parts of extents that lie in the ranges, as a disk of a single layer has them. */
async function* partsOf(
  disk: GuestDisk,
  ranges: readonly DifferentRange[],
): AsyncGenerator<readonly Extent[]> {
  const last = ranges.at(-1)!;
  let next = 0;
  for await (const extents of disk.extents(ranges[0]!.start, last.start + last.length)) {
    const parts: Extent[] = [];
    for (const { start, length, kind } of extents) {
      const end = start + length;
      while (next < ranges.length && ranges[next]!.start < end) {
        const range = ranges[next]!;
        const rangeEnd = range.start + range.length;
        const [partAt, partEnd] = [Math.max(start, range.start), Math.min(end, rangeEnd)];
        if (partEnd > partAt) {
          parts.push({ start: partAt, length: partEnd - partAt, kind: shownKind(kind), depth: 0 });
        }
        if (rangeEnd > end) break;
        next += 1;
      }
    }
    yield parts;
  }
}

/** What no layer has would show the other disk, and what a backing file has must be read from there. */
function shownKind(kind: Extent['kind']): Extent['kind'] {
  if (kind === 'unallocated') return 'zero';
  return kind === 'backing' ? 'data' : kind;
}
