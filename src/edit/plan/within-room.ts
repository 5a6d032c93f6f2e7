import { isQsnapError, type QsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import type { OpenOptions } from '../../image/open.js';
import type { EditPlan } from '../tx/plan.js';
import type { StagedEdit } from '../tx/staged-plan.js';
import { noRoom } from './ledger.js';

/** Opens the image anew, and makes a plan for it. */
type Make<Made> = (how: OpenOptions) => Promise<Made>;

/** Whatever comes with a plan; no plan: nothing has to be written. */
export interface Planned {
  readonly plan: EditPlan | StagedEdit | undefined;
}

/**
 * Makes a plan. If the host says that the file can't become as long as planned, makes it again with only the free
 * clusters inside the file.
 *
 * @param make opens the image with the given options, and plans.
 * @throws QsnapError NO_SPACE where the clusters inside don't do either, and what `make` throws.
 */
export async function planWithinRoom<Made extends Planned>(
  source: BlockSource,
  make: Make<Made>,
): Promise<Made> {
  const made = await make({});
  const growth = growthOf(made);
  if (growth === 0) return made;
  const room = await source.roomBytes?.();
  if (room === undefined || growth <= room) return made;
  return makeInside(make, growth - room);
}

/**
 * Plans and carries out. If the file then can't grow (a full disk, a quota, the longest file of the file system), the
 * image is still in the old state, and the edit is made again with only the free clusters inside the file.
 *
 * ```ts
 * const plan = await editWithinRoom(
 *   device,
 *   async (how) => {
 *     const image = await openImage(device, how);
 *     return { plan: await planDelete(image, image.snapshots) };
 *   },
 *   async ({ plan }) => {
 *     await executePlan(plan);
 *     return plan;
 *   },
 * );
 * console.log(plan.facts.freedBytes);
 * ```
 *
 * @param make opens the image with the given options, and plans.
 * @throws QsnapError NO_SPACE where the clusters inside don't do either, and what `make` and `carryOut` throw.
 */
export async function editWithinRoom<Made extends Planned, Done>(
  source: BlockSource,
  make: Make<Made>,
  carryOut: (made: Made) => Promise<Done>,
): Promise<Done> {
  const made = await planWithinRoom(source, make);
  try {
    return await carryOut(made);
  } catch (error) {
    if (!isOutOfRoom(error) || growthOf(made) === 0) throw error;
    return carryOut(await makeInside(make, growthOf(made), error));
  }
}

const growthOf = ({ plan }: Planned): number => plan?.facts.growthBytes ?? 0;

function isOutOfRoom(error: unknown): error is QsnapError {
  return isQsnapError(error) && error.code === 'NO_SPACE' && error.details.imageState === 'old';
}

/** @param bytesNeeded what is missing where the room inside does not do. */
async function makeInside<Made extends Planned>(
  make: Make<Made>,
  bytesNeeded: number,
  failure?: QsnapError,
): Promise<Made> {
  try {
    return await make({ mayGrow: false });
  } catch (error) {
    if (!isQsnapError(error) || error.code !== 'NO_SPACE') throw error;
    throw failure ?? noRoom(bytesNeeded);
  }
}
