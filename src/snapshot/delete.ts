import { planEdit } from '../edit/plan-edit.js';
import { planInPlace } from '../edit/plan-in-place.js';
import type { ShorterList } from '../edit/begin-in-place.js';
import type { Image } from '../image/image.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import type { StagedEdit } from '../tx/staged-plan.js';
import { keptSnapshots, readActiveL1 } from './create.js';
import { describeSnapshot } from './find.js';

/**
 * Plans to delete one or many snapshots in one pass over the refcounts. All others, and the active
 * disk, stay as they are bit for bit.
 *
 * @param snapshots entries of `image.snapshots`; naming one twice is the same as once.
 * @throws QsnapError what `planEdit` throws.
 */
export async function planDelete(image: Image, snapshots: readonly Snapshot[]): Promise<EditPlan> {
  const summary = summaryOf(image, snapshots);
  const about = { operation: 'delete', summary, created: [] } as const;
  return planEdit(image, await without(image, snapshots), about);
}

/**
 * Plans the same where there is no room for new copies of all tables that change, in stages: what a cut
 * leaves are refcounts that are too high. docs/crash-safety.md.
 *
 * @throws QsnapError what `planInPlace` throws.
 */
export async function planDeleteInPlace(
  image: Image,
  snapshots: readonly Snapshot[],
): Promise<StagedEdit> {
  const about = { summary: `${summaryOf(image, snapshots)} in place`, created: [] };
  return planInPlace(image, await without(image, snapshots), about);
}

async function without(image: Image, snapshots: readonly Snapshot[]): Promise<ShorterList> {
  const dropped = new Set(snapshots.map(({ index }) => index));
  return {
    diskSizeBytes: image.header.diskSizeBytes,
    // Its entries stay; which of them carry the COPIED flag changes.
    activeL1: await readActiveL1(image),
    snapshots: keptSnapshots(image).filter((_, index) => !dropped.has(index)),
  };
}

function summaryOf(image: Image, snapshots: readonly Snapshot[]): string {
  const dropped = new Set(snapshots.map(({ index }) => index));
  const named = image.snapshots.filter(({ index }) => dropped.has(index)).map(describeSnapshot);
  return `delete ${named.length === 1 ? 'snapshot' : 'snapshots'} ${named.join(', ')}`;
}
