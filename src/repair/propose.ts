import { checkImage, checkOpened } from '../check/check-image.js';
import type { CheckReport } from '../check/report.js';
import type { Image } from '../image/image.js';
import { openForCheck } from '../image/open-for-check.js';
import type { BlockSource } from '../io/device.js';
import type { EditPlan } from '../tx/plan.js';
import { previewPlan } from '../tx/preview.js';
import { choseClass, choseFinding, type RepairChoice } from './choice.js';
import { planRepair, type RepairFacts } from './plan-repair.js';

/** A repair that is planned and checked, and of which nothing is written yet. */
export interface ProposedRepair {
  readonly image: Image;
  readonly before: CheckReport;
  /** What a check finds once the plan is carried out: read through the plan, not guessed. */
  readonly after: CheckReport;
  /** Undefined where what was chosen asks for no write. */
  readonly plan: EditPlan | undefined;
  readonly facts: RepairFacts;
}

/**
 * Checks an image, plans the repair that was chosen, and checks what the plan would make of it. The
 * dirty and the corrupt mark go away only if that check finds no error.
 *
 * @param choose gets the image as far as it can be read.
 * @throws QsnapError REPAIR_REFUSED, EXTERNAL_DATA_FILE, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE.
 */
export async function proposeRepair(
  source: BlockSource,
  choose: (image: Image) => RepairChoice,
): Promise<ProposedRepair> {
  const checked = await openForCheck(source);
  const { image } = checked;
  const before = await checkOpened(checked);
  const choice = choose(image);
  const planned = await planRepair(checked, choice, { clearMarks: false });
  const after = await checkAfter(source, planned.plan, before);
  const marked = image.header.dirty || image.header.markedCorrupt;
  if (!marked || !choseMarks(choice) || !isWithoutErrors(after)) {
    return { image, before, after, ...planned };
  }
  const cleared = await planRepair(checked, choice, { clearMarks: true });
  return { image, before, after: await checkAfter(source, cleared.plan, before), ...cleared };
}

async function checkAfter(
  source: BlockSource,
  plan: EditPlan | undefined,
  before: CheckReport,
): Promise<CheckReport> {
  return plan === undefined ? before : checkImage(previewPlan(source, plan));
}

function choseMarks(choice: RepairChoice): boolean {
  if (choseClass(choice, 'all')) return true;
  return choseFinding(choice, ['MARKED_DIRTY', 'MARKED_CORRUPT'], 72);
}

function isWithoutErrors({ totals, beyondQemu }: CheckReport): boolean {
  return totals.corruptions + totals.checkErrors + beyondQemu.corruptions === 0;
}
