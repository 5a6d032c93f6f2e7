import { printableText, utf8Text } from '../../base/text.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { keptSnapshots } from '../plan/next-state.js';
import { refuseUnfit } from '../plan/refuse.js';
import type { BitmapAction } from './bitmap-action.js';
import { applyActions } from './next-bitmaps.js';
import { planWithBitmaps, type PlanWithBitmaps } from './plan-with-bitmaps.js';

/**
 * Plans changes of persistent bitmaps, one after the other, as one edit: all of them are done, or none. Disks stay as they
 * are.
 *
 * Where the first sector has no room for all extensions, the feature names are left out, which nothing depends on:
 * `planFeatureNames` puts them back afterwards. `editBitmaps` does both.
 *
 * ```ts
 * const plan = await planBitmaps(await openImage(device), [
 *   { kind: 'add', name: 'since-friday' },
 *   { kind: 'merge', name: 'since-friday', from: 'since-monday' },
 * ]);
 * await executePlan(plan);
 * ```
 *
 * @throws QsnapError BITMAP_NOT_FOUND, NAME_INVALID, NAME_IN_USE, BITMAP_INCONSISTENT, BITMAP_GRANULARITY_INVALID,
 *   BITMAP_SIZES_DIFFER, BITMAPS_REFUSED, LIMIT_EXCEEDED, all with the position of the action; and what every edit is
 *   refused for.
 */
export async function planBitmaps<Source extends BlockSource>(
  image: OpenImage<Source>,
  actions: readonly BitmapAction[],
  { signal }: Stoppable = {},
): Promise<PlanWithBitmaps<Source>> {
  refuseUnfit(image);
  const bitmaps = await applyActions(stoppableImage(image, signal, 'the planning'), actions);
  const { diskSizeBytes } = image.header;
  const request = {
    operation: 'set' as const,
    summary: summaryOf(actions),
    created: [],
    next: () => ({ diskSizeBytes, activeL1: undefined, snapshots: keptSnapshots(image) }),
  };
  return planWithBitmaps(image, request, bitmaps, { signal });
}

function summaryOf(actions: readonly BitmapAction[]): string {
  const [first] = actions;
  if (first === undefined || actions.length > 1) return `change bitmaps ${actions.length} times`;
  if (first.kind === 'remove-all') return 'remove all bitmaps';
  const { name, kind } = first;
  const shown = printableText(typeof name === 'string' ? name : utf8Text(name));
  return kind === 'merge' ? `merge into bitmap "${shown}"` : `${kind} bitmap "${shown}"`;
}
