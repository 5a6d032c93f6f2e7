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
export function editWithinRoom<Made extends Planned, Done>(
  source: BlockSource,
  make: Make<Made>,
  carryOut: (made: Made) => Promise<Done>,
): Promise<Done> {
  return editAllWithinRoom([{ source, make }], ([made]) => carryOut(made!));
}

/** The edit of one image among several that are edited together. */
export interface EditOf<Made> {
  readonly source: BlockSource;
  readonly make: Make<Made>;
}

/**
 * The same for several images, which are carried out together. All of them are planned anew where one file turns out
 * not to grow: the plans of the others are used up.
 *
 * @param carryOut throws NO_SPACE with the label of the source as `file`.
 * @throws QsnapError as `editWithinRoom`.
 */
export async function editAllWithinRoom<Made extends Planned, Done>(
  edits: readonly EditOf<Made>[],
  carryOut: (made: readonly Made[]) => Promise<Done>,
): Promise<Done> {
  const inside = new Map<EditOf<Made>, QsnapError>();
  for (;;) {
    const made: Made[] = [];
    for (const edit of edits) made.push(await planAgain(edit, inside.get(edit)));
    try {
      return await carryOut(made);
    } catch (error) {
      if (!isOutOfRoom(error)) throw error;
      const full = edits.find(({ source }, i) => {
        const isIt = edits.length === 1 || error.details.file === source.label;
        return isIt && growthOf(made[i]!) > 0;
      });
      if (full === undefined) throw error;
      inside.set(full, error);
    }
  }
}

/** @param failure of the plan before, where the file did not grow as that asked for. */
function planAgain<Made extends Planned>(
  { source, make }: EditOf<Made>,
  failure: QsnapError | undefined,
): Promise<Made> {
  if (failure === undefined) return planWithinRoom(source, make);
  return makeInside(make, failure.details.bytesNeeded ?? 0, failure);
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
