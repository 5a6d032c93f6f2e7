import { checkImage, checkOpened } from '../../read/check/check-image.js';
import type { CheckReport } from '../../read/check/report.js';
import type { Image, OpenImage } from '../../image/image.js';
import type { OpenOptions } from '../../image/open.js';
import { openForCheck, type CheckedImage } from '../../image/open-for-check.js';
import type { BlockSource } from '../../io/device.js';
import { editsBegun } from '../../io/edits.js';
import { stoppable, type Stoppable } from '../../io/stoppable.js';
import { bound, type EditPlan, type WritePlan } from '../tx/plan.js';
import { previewPlan } from '../tx/preview.js';
import { choseClass, choseFinding, givesUp, type RepairChoice } from './choice.js';
import { asListed, withoutGivenUp } from './image-without.js';
import { givenUpEntries, type GivenUpEntries } from './given-up-entries.js';
import { planRepair, type RepairFacts, type RepairPlanning } from './plan-repair.js';
import { refuseCutOff } from './refuse.js';

/** A repair that is planned and checked, and of which nothing is written yet. */
export interface ProposedRepair<Source extends BlockSource = BlockSource> {
  readonly image: OpenImage;
  readonly choice: RepairChoice;
  readonly before: CheckReport;
  /** What a check finds once the plan is carried out: read through the plan, not guessed. */
  readonly after: CheckReport;
  /** Undefined where what was chosen asks for no write. */
  readonly plan: EditPlan<Source> | undefined;
  readonly facts: RepairFacts;
  /** What of the tables is given up, as the two checks tell. */
  readonly givenUp: GivenUpEntries;
}

/** What of the work the first check is, and where the second one begins. */
const BEFORE_SHARE = 0.4;
const AFTER_FROM = 0.6;

/** Who is told how far a proposal is. */
interface ProposalProgress {
  /** From 0 to 1. It may stay there for a while: where a mark goes, or one stays, all is planned once more. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/**
 * Checks an image, plans the repair that was chosen, and checks what the plan would make of it. The
 * dirty and the corrupt mark go away only if that check finds no error.
 *
 * ```ts
 * const { plan, before, after } = await proposeRepair(device, () => ({ classes: ['all'] }));
 * console.log(before.findings.length, after.findings.length);
 * if (plan) await executePlan(plan);
 * ```
 *
 * @param choose gets the image as far as it can be read.
 * @throws QsnapError REPAIR_REFUSED, EXTERNAL_DATA_FILE, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE,
 *   ABORTED.
 */
export async function proposeRepair<Source extends BlockSource>(
  source: Source,
  choose: (image: OpenImage) => RepairChoice,
  options: OpenOptions & Stoppable & ProposalProgress = {},
): Promise<ProposedRepair<Source>> {
  let told = 0;
  const tell = (done: number): void => {
    if (done <= told) return;
    told = done;
    options.onProgress?.(done);
  };
  const read = stoppable(source, options.signal, 'the proposal of a repair');
  const editsBefore = editsBegun(source);
  const checked = await openForCheck(read, options);
  const { image } = asListed(checked);
  const before = await checkOpened(checked, {
    onProgress: (done) => {
      tell(done * BEFORE_SHARE);
    },
  });
  const choice = choose(image);
  const ownersHidden = await hidesOwners(checked, choice, before);
  const plan = async (
    clears: RepairPlanning['clears'],
    marksDoubted: boolean,
  ): Promise<ProposedRepair<Source>> => {
    const { facts, ...planned } = await planRepair(checked, choice, {
      clears,
      ownersHidden,
      marksDoubted,
    });
    if (planned.plan !== undefined) refuseCutOff(before, choice, planned.plan);
    const after = await checkAfter(read, planned.plan, before, (done) => {
      tell(AFTER_FROM + done * (1 - AFTER_FROM));
    });
    const plan = planned.plan && bound(planned.plan, { source, editsBefore });
    const givenUp = givenUpEntries(before, after);
    return {
      image: { ...image, source, editsBefore },
      choice,
      before,
      after,
      givenUp,
      plan,
      facts,
    };
  };
  const proposal = await plan([], false);
  const clears = marksToClear(image, choice, proposal.after);
  // The repair takes away what made the check doubt: the next one has to know of it all the same.
  const marksDoubted =
    ownersHidden && !proposal.after.ownersHidden && proposal.after.totals.leaks > 0;
  return clears.length === 0 && !marksDoubted ? proposal : plan(clears, marksDoubted);
}

/** Whether clusters that nothing refers to may have an owner that the choice does not give up. */
async function hidesOwners(
  checked: CheckedImage,
  choice: RepairChoice,
  before: CheckReport,
): Promise<boolean> {
  if (!before.ownersHidden || !givesUp(choice)) return before.ownersHidden;
  const options = { maxFindings: 0, owners: false };
  const rest = await checkOpened(withoutGivenUp(asListed(checked), choice), options);
  return rest.ownersUnreadable;
}

async function checkAfter(
  source: BlockSource,
  plan: WritePlan | undefined,
  before: CheckReport,
  onProgress: (done: number) => void,
): Promise<CheckReport> {
  if (plan !== undefined) return checkImage(previewPlan(source, plan), { onProgress });
  onProgress(1);
  return before;
}

/**
 * The marks that the repair clears. The dirty mark goes if the image has no error that QEMU counts: a program
 * that finds the mark rebuilds all refcounts, and would free clusters that may hold lost data. The corrupt mark goes
 * if there is no corruption that only qsnap knows of either.
 */
function marksToClear(
  { header }: Image,
  choice: RepairChoice,
  { totals, beyondQemu }: CheckReport,
): RepairPlanning['clears'] {
  const isChosen =
    choseClass(choice, 'all') || choseFinding(choice, ['MARKED_DIRTY', 'MARKED_CORRUPT'], 72);
  if (!isChosen || totals.corruptions + totals.checkErrors > 0) return [];
  const isWhole = beyondQemu.corruptions === 0;
  return [
    ...(header.dirty ? (['dirty'] as const) : []),
    ...(header.markedCorrupt && isWhole ? (['corrupt'] as const) : []),
  ];
}
