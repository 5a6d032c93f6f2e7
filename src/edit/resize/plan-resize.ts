import { keptSnapshots, type NextState } from '../plan/next-state.js';
import { refuseUnfit } from '../plan/refuse.js';
import type { Survey } from '../plan/survey.js';
import type { Image, OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { NextBitmap } from '../bitmaps/next-bitmap.js';
import { planWithBitmaps, type PlanWithBitmaps } from '../bitmaps/plan-with-bitmaps.js';
import { resizedBitmaps } from '../bitmaps/resized-bitmaps.js';
import { growthOf } from './growth.js';
import { refuseResize } from './refuse.js';
import { cutTables } from './shrink.js';
import type { ResizeOptions } from './resize-options.js';

/**
 * Plans another size for the active disk. What grows reads as zeros, but for the rest of the
 * cluster in which a disk without backing file ended before. VM state that lies behind the active
 * disk is left out; snapshots keep theirs, and their sizes. Bitmaps get the new size by the same switch; what grows is
 * not noted.
 *
 * ```ts
 * const image = await openImage(device);
 * await executePlan(await planResize(image, { diskSizeBytes: 2 * image.header.diskSizeBytes }));
 * ```
 *
 * @throws QsnapError SIZE_INVALID, SHRINK_NOT_ALLOWED, PREALLOCATION_REFUSED, SIZE_DIFFERS_IN_V2,
 *   BITMAP_INCONSISTENT, GROWTH_SHOWS_BACKING, and what `planEdit` throws.
 */
export async function planResize<Source extends BlockSource>(
  image: OpenImage<Source>,
  options: ResizeOptions,
  planning: Stoppable = {},
): Promise<PlanWithBitmaps<Source>> {
  refuseResize(image, options);
  const request = {
    operation: 'resize' as const,
    summary: `resize the disk from ${image.header.diskSizeBytes} to ${options.diskSizeBytes} bytes`,
    created: [],
    next: ({ activeL1 }: Survey) => resized(image, activeL1, options),
  };
  const bitmaps = await bitmapsOfSize(image, options.diskSizeBytes, planning);
  return planWithBitmaps(image, request, bitmaps, planning);
}

async function bitmapsOfSize(
  image: OpenImage,
  diskSizeBytes: number,
  { signal }: Stoppable,
): Promise<readonly NextBitmap[] | undefined> {
  if (image.bitmaps.length === 0) return undefined;
  refuseUnfit(image);
  return resizedBitmaps(stoppableImage(image, signal, 'the planning'), diskSizeBytes);
}

async function resized(
  image: OpenImage,
  l1: Uint32Array,
  { diskSizeBytes, preallocation = 'off', backingSizeBytes, disk }: ResizeOptions,
): Promise<NextState> {
  const changes =
    diskSizeBytes < image.header.diskSizeBytes
      ? { newL2Tables: await cutTables(image, l1, diskSizeBytes) }
      : await growthOf(image, l1, diskSizeBytes, { preallocation, backingSizeBytes, disk });
  const activeL1 = resizedL1(image, l1, diskSizeBytes);
  for (const { l1Index } of changes.newL2Tables) activeL1.fill(0, 2 * l1Index, 2 * l1Index + 2);
  return { diskSizeBytes, activeL1, snapshots: keptSnapshots(image), ...changes };
}

/** The entries that both sizes have, then unallocated ones; at least one, so that it lies somewhere. */
function resizedL1(image: Image, l1: Uint32Array, diskSizeBytes: number): Uint32Array {
  const { geometry, header } = image;
  const resized = new Uint32Array(Math.max(1, l1EntriesFor(diskSizeBytes, geometry)) * 2);
  const common = Math.min(diskSizeBytes, header.diskSizeBytes);
  resized.set(l1.subarray(0, l1EntriesFor(common, geometry) * 2));
  return resized;
}
