import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { keptSnapshots } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import type { EditPlan } from '../tx/plan.js';

/**
 * Plans to make the active disk empty: the backing file shows through everywhere, and without one it reads as zeros.
 * Snapshots keep what they have. VM state behind the disk goes, too.
 *
 * @throws QsnapError what `planEdit` throws.
 */
export function planEmpty<Source extends BlockSource>(
  image: OpenImage<Source>,
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  const { diskSizeBytes } = image.header;
  const entries = Math.max(1, l1EntriesFor(diskSizeBytes, image.geometry));
  return planEdit(
    image,
    {
      operation: 'write',
      summary: 'make the active disk empty',
      created: [],
      next: () => ({
        diskSizeBytes,
        activeL1: new Uint32Array(2 * entries),
        snapshots: keptSnapshots(image),
      }),
    },
    planning,
  );
}
