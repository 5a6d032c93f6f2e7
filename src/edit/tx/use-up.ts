import { QsnapError } from '../../errors.js';
import type { BlockDevice } from '../../io/device.js';
import { editsBegun, noteEditBegun } from '../../io/edits.js';
import type { Bound } from './plan.js';

/**
 * Uses a plan up: from now on neither this plan nor an older one of the same device can be carried out. Refuses a
 * plan whose device can't be written to, is closed or gave up its lock. Refuses also a plan that is older than
 * another edit: clusters that were free then may hold data by now.
 *
 * Synchronous, so that of two plans that are begun at the same time only one is carried out.
 *
 * @throws QsnapError PLAN_STALE.
 */
export function useUp(plan: Bound<BlockDevice>): void {
  refuseStale(plan);
  noteEditBegun(plan.source);
}

/** Refuses a plan that could not be carried out, and leaves it as it is. @throws QsnapError PLAN_STALE. */
export function refuseStale({ source, editsBefore }: Bound<BlockDevice>): void {
  const reason = whyStale(source, editsBefore);
  if (reason === undefined) return;
  throw new QsnapError('PLAN_STALE', `the plan can't be carried out: ${reason}`, {
    file: source.label,
    expected: 'a plan of the image as it is, made on the open device that it is carried out on',
    hint: 'open the image for editing, plan anew, and carry that out before the device is closed',
  });
}

function whyStale(device: BlockDevice, editsBefore: number): string | undefined {
  // Types say so; a program in JavaScript may not have heard it.
  if ((device as Partial<BlockDevice>).writeBatch === undefined) {
    return 'it was made on a source that is only read';
  }
  switch (device.lostHold?.()) {
    case 'closed':
      return 'the device that it was made on is closed, and others may have written since';
    case 'unlocked':
      return 'the lock under which it was made was given up, and others may have written since';
    case undefined:
      return editsBegun(device) === editsBefore
        ? undefined
        : 'an edit was begun after the image was read that it was made from';
  }
}
