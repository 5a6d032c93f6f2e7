import { keptSnapshots } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import { planInPlace } from '../plan/plan-in-place.js';
import type { ShorterList } from '../plan/begin-in-place.js';
import type { EditRequest } from '../plan/survey.js';
import type { Image, OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import type { StagedEdit } from '../tx/staged-plan.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';

/**
 * Plans to delete one or many snapshots in one pass over the refcounts. All others, and the active
 * disk, stay as they are bit for bit.
 *
 * ```ts
 * const image = await openImage(device);
 * await executePlan(await planDelete(image, [findSnapshot(image.snapshots, 'golden')]));
 * ```
 *
 * @param snapshots of the image; naming one twice is the same as once.
 * @throws QsnapError SNAPSHOT_STALE, and what `planEdit` throws.
 */
export async function planDelete<Source extends BlockSource>(
  image: OpenImage<Source>,
  snapshots: readonly Snapshot[],
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  return planEdit(image, deletion(image, droppedOf(image, snapshots)), planning);
}

/**
 * Plans the same in stages, for a medium without room for new copies of all tables that change. A power cut may leave
 * refcounts that are too high. docs/crash-safety.md.
 *
 * ```ts
 * const image = await openImage(device);
 * await executeStages(await planDeleteInPlace(image, image.snapshots.slice(0, 2)));
 * ```
 *
 * @throws QsnapError SNAPSHOT_STALE, and what `planInPlace` throws.
 */
export async function planDeleteInPlace<Source extends BlockSource>(
  image: OpenImage<Source>,
  snapshots: readonly Snapshot[],
  planning: Stoppable = {},
): Promise<StagedEdit<Source>> {
  const request = deletion(image, droppedOf(image, snapshots));
  const summary = `${request.summary} in place`;
  return planInPlace(image, { ...request, summary }, planning);
}

/** The entries to drop, in the order of the table. */
function droppedOf(image: OpenImage, snapshots: readonly Snapshot[]): readonly Snapshot[] {
  const dropped = new Set(snapshots.map((snapshot) => ownSnapshot(image, snapshot)));
  return image.snapshots.filter((snapshot) => dropped.has(snapshot));
}

function deletion(image: Image, dropped: readonly Snapshot[]): EditRequest<ShorterList> {
  const indexes = new Set(dropped.map(({ index }) => index));
  const named = dropped.map(describeSnapshot);
  return {
    operation: 'delete',
    summary: `delete ${named.length === 1 ? 'snapshot' : 'snapshots'} ${named.join(', ')}`,
    created: [],
    next: ({ activeL1 }) => ({
      diskSizeBytes: image.header.diskSizeBytes,
      // Its entries stay; which of them carry the COPIED flag changes.
      activeL1,
      snapshots: keptSnapshots(image).filter((_, index) => !indexes.has(index)),
    }),
  };
}
