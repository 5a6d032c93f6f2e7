import type { NextState } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import { refuseUnfit } from '../plan/refuse.js';
import type { Image } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { readTable } from '../../refs/tables.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { conformingEntry } from '../../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import { growthOf } from './growth.js';
import { refuseResize } from './refuse.js';
import { cutTable } from './shrink.js';
import type { ResizeOptions } from './resize-options.js';

/**
 * Plans another size for the active disk. What grows reads as zeros, but for the rest of the
 * cluster in which a disk without backing file ended before. VM state that lies behind the active
 * disk is left out; snapshots keep theirs, and their sizes.
 *
 * ```ts
 * const image = await openImage(device);
 * await executePlan(await planResize(image, { diskSizeBytes: 2 * image.header.diskSizeBytes }));
 * ```
 *
 * @throws QsnapError SIZE_INVALID, SHRINK_NOT_ALLOWED, PREALLOCATION_REFUSED, SIZE_DIFFERS_IN_V2,
 *   BITMAPS_PRESENT, GROWTH_SHOWS_BACKING, and what `planEdit` throws.
 */
export async function planResize<Source extends BlockSource>(
  image: Image<Source>,
  options: ResizeOptions,
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  refuseResize(image, options);
  refuseUnfit(image);
  const { diskSizeBytes: old, version } = image.header;
  const { diskSizeBytes } = options;
  const { at, entries } = image.header.activeL1;
  const l1 = await readTable(image.source, at, entries);
  const changes =
    diskSizeBytes < old
      ? await shrunk(image, l1, diskSizeBytes)
      : await growthOf(image, l1, diskSizeBytes, {
          preallocation: options.preallocation ?? 'off',
          backingSizeBytes: options.backingSizeBytes,
          disk: options.disk,
        });
  const activeL1 = resizedL1(image, l1, diskSizeBytes);
  for (const { l1Index } of changes.newL2Tables ?? [])
    activeL1.fill(0, 2 * l1Index, 2 * l1Index + 2);
  const next: NextState = {
    diskSizeBytes,
    activeL1,
    snapshots: image.snapshots.map((snapshot) => ({
      entry: conformingEntry(snapshot, version),
      l1: { kind: 'kept', ref: snapshot.l1, index: snapshot.index },
    })),
    ...changes,
  };
  const summary = `resize the disk from ${old} to ${diskSizeBytes} bytes`;
  return planEdit(image, next, { operation: 'resize', summary, created: [] }, planning);
}

async function shrunk(
  image: Image,
  l1: Uint32Array,
  diskSizeBytes: number,
): Promise<Pick<NextState, 'newL2Tables' | 'newData'>> {
  const table = await cutTable(image, l1, diskSizeBytes);
  return { newL2Tables: table === undefined ? [] : [table] };
}

/** The entries that both sizes have, then unallocated ones; at least one, so that it lies somewhere. */
function resizedL1(image: Image, l1: Uint32Array, diskSizeBytes: number): Uint32Array {
  const { geometry, header } = image;
  const resized = new Uint32Array(Math.max(1, l1EntriesFor(diskSizeBytes, geometry)) * 2);
  const common = Math.min(diskSizeBytes, header.diskSizeBytes);
  resized.set(l1.subarray(0, l1EntriesFor(common, geometry) * 2));
  return resized;
}
