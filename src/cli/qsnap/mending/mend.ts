import { isQsnapError, type AuditReport, type BlockSource } from '../../../index.js';
import { openFile, openFileForEdit } from '../../../node/index.js';
import { printLines, type Context } from '../context.js';
import { warnOfLock, warnOfSignal } from '../editing.js';
import { isAudited, type Audited, type AuditResult } from '../present/audited.js';
import { doneMendingJson, plannedMendingJson } from '../present/mending-json.js';
import { doneMendingLines, plannedMendingLines, unmendedLine } from '../present/mending-text.js';
import { errorJson, reportFailure } from '../report.js';
import { carryOutMending, type Mended } from './carry-out-mending.js';
import { mayMend } from './may-mend.js';
import { planMending, type MendingPlan } from './plan-mending.js';

/** How images are mended. */
export interface MendFlags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** How an image is judged, by its path and when it is open. */
export interface Auditing {
  readonly audit: (path: string) => Promise<AuditResult>;
  readonly judge: (source: BlockSource, path: string) => Promise<AuditReport>;
  /** Whether lines for people may go to stdout. */
  readonly tellsPeople: boolean;
}

/**
 * Audits an image, mends what has one safe remedy, and audits it again: the result is what that finds. An image of
 * which nothing is mended is audited once.
 */
export async function mend(
  path: string,
  flags: MendFlags,
  auditing: Auditing,
  context: Context,
): Promise<AuditResult> {
  const found = await auditing.audit(path);
  if (!isAudited(found)) return found;
  const tell = (lines: readonly string[]): void => {
    if (auditing.tellsPeople && !context.quiet) printLines(context, lines);
  };
  let mending: Record<string, unknown> = {};
  let isTouched = false;
  try {
    const plan = await planned(found, flags, auditing, context);
    if (plan === undefined) {
      tell(unmendedLine(found));
      return found;
    }
    mending = plannedMendingJson(path, plan);
    if (flags.yes !== true || flags.dryRun === true) tell(plannedMendingLines(path, plan));
    if (flags.dryRun === true) return { ...found, mending: { 'dry-run': true, ...mending } };
    if (flags.yes !== true && !(await mayMend(path, plan, auditing.tellsPeople, context))) {
      return { ...found, mending: { declined: true, ...mending }, isLeft: true };
    }
    mending = {};
    isTouched = true;
    await carriedOut(path, plan, context, (done) => {
      mending = { ...mending, ...doneMendingJson(path, done) };
      tell(doneMendingLines(path, done));
    });
    return { ...(await auditing.audit(path)), mending };
  } catch (error) {
    const told = 'repair' in mending && isTouched ? afterRepair(error) : error;
    reportFailure(told, path, 'repair', context);
    const failed = { mending: { ...mending, error: errorJson(told, 'repair') }, isLeft: true };
    return { ...(isTouched ? await auditing.audit(path) : found), ...failed };
  }
}

/** What an edit says of an image that it left alone is not all when there was one before it. */
function afterRepair(error: unknown): unknown {
  return isQsnapError(error) ? error.with({ imageState: 'new' }) : error;
}

/** A mending that could not even open the image is foretold as such. */
async function planned(
  { path, report }: Audited,
  flags: MendFlags,
  { judge }: Auditing,
  context: Context,
): Promise<MendingPlan | undefined> {
  const source = await openFile(path, { forceShare: context.forceShare });
  try {
    const plan = await planMending(source, report, (image) => judge(image, path));
    const refusal = plan && flags.dryRun === true ? await source.refusalToWrite() : undefined;
    if (refusal !== undefined) reportFailure(refusal, path, 'read', context);
    return plan;
  } finally {
    await source.close();
  }
}

async function carriedOut(
  path: string,
  plan: MendingPlan,
  context: Context,
  onDone: (done: Partial<Mended>) => void,
): Promise<void> {
  const device = await openFileForEdit(path);
  try {
    warnOfLock(path, device.lock.guarantee, context);
    await context.io.interruptible(async (signal) => {
      await carryOutMending(device, plan, signal, onDone);
      warnOfSignal(path, signal, context);
    });
  } finally {
    await device.close();
  }
}
