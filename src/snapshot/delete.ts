import { planEdit } from '../edit/plan-edit.js';
import type { Image } from '../image/image.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
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
  const dropped = new Set(snapshots.map(({ index }) => index));
  const kept = keptSnapshots(image).filter((_, index) => !dropped.has(index));
  const named = image.snapshots.filter(({ index }) => dropped.has(index)).map(describeSnapshot);
  return planEdit(
    image,
    {
      diskSizeBytes: image.header.diskSizeBytes,
      // Its entries stay; which of them carry the COPIED flag changes.
      activeL1: await readActiveL1(image),
      snapshots: kept,
    },
    {
      operation: 'delete',
      summary: `delete ${named.length === 1 ? 'snapshot' : 'snapshots'} ${named.join(', ')}`,
      created: [],
    },
  );
}
