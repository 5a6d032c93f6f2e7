/** Images with more snapshots than a test waits for: taken one by one, each costs as much as all before it. */
import { planEdit } from '../../src/edit/plan/plan-edit.js';
import { copiedL1, newEntry } from '../../src/edit/snapshot/create.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import type { OpenImage } from '../../src/image/image.js';
import type { BlockSource } from '../../src/io/device.js';

const FIRST_SECONDS = 1_700_000_000;
const HOUR_SECONDS = 3600;

/** Plans `count` snapshots of the active disk, an hour after each other, for an image that has none. */
export function planMany<Source extends BlockSource>(
  image: OpenImage<Source>,
  count: number,
): Promise<EditPlan<Source>> {
  const entries = Array.from({ length: count }, (_, i) => {
    const date = { seconds: FIRST_SECONDS + i * HOUR_SECONDS, nanoseconds: 0 };
    return newEntry(image, { name: `hour ${i}`, id: String(i + 1), date });
  });
  return planEdit(image, {
    operation: 'create',
    summary: `create ${count} snapshots`,
    created: [],
    next: ({ activeL1 }) => ({
      diskSizeBytes: image.header.diskSizeBytes,
      activeL1,
      snapshots: entries.map((entry) => ({ entry, l1: copiedL1(activeL1, image) })),
    }),
  });
}
