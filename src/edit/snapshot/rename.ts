import { keptSnapshots } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import type { EditRequest } from '../plan/survey.js';
import { printable } from '../../base/text.js';
import type { OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import { newName, type NameRules } from './names.js';

/**
 * Plans to give a snapshot another name. Only the snapshot table changes.
 *
 * ```ts
 * const image = await openImage(device);
 * const golden = findSnapshot(image.snapshots, 'golden');
 * await executePlan(await planRename(image, golden, 'release 1.2'));
 * ```
 *
 * @throws QsnapError SNAPSHOT_STALE, NAME_INVALID, NAME_IN_USE, and what `planEdit` throws.
 */
export async function planRename<Source extends BlockSource>(
  image: OpenImage<Source>,
  snapshot: Snapshot,
  name: string | Uint8Array,
  rules: NameRules = {},
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  const { index: renamed } = ownSnapshot(image, snapshot);
  const others = image.snapshots.filter(({ index }) => index !== renamed);
  const nameBytes = newName(name, others, rules);
  const snapshots = keptSnapshots(image).map((kept, index) =>
    index === renamed ? { ...kept, entry: { ...kept.entry, nameBytes } } : kept,
  );
  const request: EditRequest = {
    operation: 'rename',
    summary: `rename snapshot ${describeSnapshot(snapshot)} to "${printable(nameBytes)}"`,
    created: [],
    next: () => ({
      diskSizeBytes: image.header.diskSizeBytes,
      activeL1: undefined,
      snapshots,
    }),
  };
  return planEdit(image, request, planning);
}
