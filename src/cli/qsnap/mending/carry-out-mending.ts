import {
  editWithinRoom,
  executePlan,
  executeScrub,
  openImage,
  planScrub,
  proposeRepair,
  type BlockDevice,
  type BlockSource,
  type ExecuteReport,
  type OpenOptions,
  type ProposedRepair,
  type ScrubPart,
  type ScrubReport,
} from '../../../index.js';
import { refuseUnsound } from '../../../internal.js';
import type { MendingPlan } from './plan-mending.js';

/** What was done about an image. */
export interface Mended {
  readonly repair: DoneRepair | undefined;
  readonly scrub: ScrubReport | undefined;
}

export interface DoneRepair {
  readonly proposal: ProposedRepair;
  /** Undefined where it turned out that nothing had to be written. */
  readonly report: ExecuteReport | undefined;
}

/**
 * Does what was planned, each edit as the command of its name does it. Both are planned anew under the lock: another
 * program may have written since the plan was shown, and what is done is safe on any image.
 *
 * @param onDone is told of each edit when it is done: a failure of the next one changes nothing about that.
 * @throws QsnapError what `proposeRepair`, `executePlan`, `planScrub` and `executeScrub` throw.
 */
export async function carryOutMending(
  device: BlockDevice,
  { repair, scrub }: MendingPlan,
  signal: AbortSignal,
  onDone: (done: Partial<Mended>) => void,
): Promise<void> {
  if (repair !== undefined) onDone({ repair: await repaired(device, repair, signal) });
  if (scrub !== undefined) onDone({ scrub: await scrubbed(device, scrub.parts, signal) });
}

/** The new state is checked before it counts: nobody looks at what is done here. */
function repaired(
  device: BlockDevice,
  { choice }: ProposedRepair,
  signal: AbortSignal,
): Promise<DoneRepair> {
  const make = (how: OpenOptions): Promise<ProposedRepair<BlockDevice>> =>
    proposeRepair(device, () => choice, { ...how, signal });
  return editWithinRoom(device, make, async (proposal) => {
    if (proposal.plan === undefined) return { proposal, report: undefined };
    const verify = (image: BlockSource): Promise<void> =>
      refuseUnsound(image, proposal.after.totals);
    return { proposal, report: await executePlan(proposal.plan, { signal, verify }) };
  });
}

async function scrubbed(
  device: BlockDevice,
  parts: readonly ScrubPart[],
  signal: AbortSignal,
): Promise<ScrubReport> {
  const plan = await planScrub(await openImage(device), { signal, parts });
  return { ...(await executeScrub(plan, { signal })), facts: plan.facts };
}
