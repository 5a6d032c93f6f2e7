import { hinted } from '../../base/hints.js';
import { QsnapError } from '../../errors.js';
import type { RescuedDisk, RescuePlan } from './rescue-plan.js';

/** Which disks of a plan are wanted, by their ids. */
export interface RescueChoice {
  /** Guesses that are wanted all the same. */
  readonly take?: readonly string[] | undefined;
  /** Disks that are not wanted. */
  readonly leave?: readonly string[] | undefined;
  /** Every guess is wanted. */
  readonly all?: boolean | undefined;
}

/**
 * The disks to write: all that are certain or likely, and of the guesses those that were asked for.
 *
 * ```ts
 * const plan = await planRescue(device);
 * for (const { id, sureness } of plan.disks) console.log(id, sureness);
 * const disks = chooseRescued(plan, { leave: ['lost-1'] });
 * ```
 *
 * @throws QsnapError RESCUE_CHOICE_INVALID for an id that no disk of the plan has, and where nothing is
 *   left to write.
 */
export function chooseRescued(
  { disks }: RescuePlan,
  { take = [], leave = [], all = false }: RescueChoice = {},
): readonly RescuedDisk[] {
  for (const id of [...take, ...leave]) {
    if (!disks.some((disk) => disk.id === id)) throw unknownDisk(id, disks);
  }
  const chosen = disks.filter(({ id, sureness }) => {
    const isWanted = sureness !== 'guess' || all || take.includes(id);
    return isWanted && !leave.includes(id);
  });
  if (chosen.length > 0) return chosen;
  throw new QsnapError('RESCUE_CHOICE_INVALID', 'no disk is left to write', {
    candidates: disks.map(({ id }) => id),
    ...hinted('take-guesses'),
  });
}

/** Whether a rescue of these disks brings back all that the image had, as far as it can be known. */
export function isAllRescued(
  { evidence, snapshotsLost, clusterSizeDoubt, disks: found }: RescuePlan,
  disks: readonly RescuedDisk[],
): boolean {
  // What else it said than where tables lie, nobody knows.
  if (evidence.head.from !== 'header') return false;
  if (clusterSizeDoubt === 'open') return false;
  if (['cut', 'lost'].includes(evidence.head.luksHeader)) return false;
  // What only old tables name may have been deleted by its owner; what is named now was not.
  const isNamed = ({ origin }: RescuedDisk): boolean => !['old-table', 'unnamed'].includes(origin);
  if (found.some((disk) => isNamed(disk) && !disks.includes(disk))) return false;
  const isWhole = disks.every(
    ({ sizeInDoubt, tablesInDoubt, lostBytes, lostVmStateBytes, doubtfulBytes, sureness }) => {
      if (sizeInDoubt || tablesInDoubt > 0) return false;
      return lostBytes + lostVmStateBytes + doubtfulBytes === 0 && sureness !== 'guess';
    },
  );
  return isWhole && snapshotsLost === 0 && disks.some(({ kind }) => kind === 'active');
}

function unknownDisk(id: string, disks: readonly RescuedDisk[]): QsnapError {
  return new QsnapError('RESCUE_CHOICE_INVALID', `no disk that was found is called "${id}"`, {
    candidates: disks.map((disk) => disk.id),
    ...hinted('list-rescued'),
  });
}
