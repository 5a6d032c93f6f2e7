import {
  checkImage,
  editWithinRoom,
  executePlan,
  isQsnapError,
  proposeRepair,
  saveUndo,
  type BlockDevice,
  type BlockSource,
  type EditPlan,
  type Image,
  type OpenOptions,
  type ProposedRepair,
  type RepairChoice,
} from '../../../index.js';
import { parseRepairWords, planWithinRoom, refuseUnsound } from '../../../internal.js';
import {
  createNewFile,
  newSha256,
  openFile,
  openFileForEdit,
  type NewFile,
} from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../context.js';
import { VERIFIED, warnOfLock, warnOfSignal } from '../editing.js';
import { withNoRoomHint } from '../editing.js';
import { repairDoneJson, repairPlanJson } from '../present/repair-json.js';
import { repairDoneLines, repairPlanLines } from '../present/repair-text.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';

const NO_ROOM_HINT =
  'make so much room, or copy the image to where there is room and repair it there';

/** Flags of `repair`. */
export interface RepairFlags {
  readonly plan?: boolean;
  readonly undo?: string;
  readonly dropSnapshot?: readonly string[];
  readonly dropUnreadSnapshots?: boolean;
  readonly emptyL1?: readonly string[];
  readonly dropBitmaps?: boolean;
  readonly verify?: boolean;
  readonly punch?: boolean;
}

/** `qsnap repair IMAGE [WHAT…]` */
export async function repair(
  path: string,
  what: readonly string[],
  flags: RepairFlags,
  context: Context,
): Promise<ExitCode> {
  try {
    const choose = (image: Image): RepairChoice => choiceOf(what, flags, image);
    if (flags.plan === true) return await planOnly(path, choose, context);
    return await carryOut(path, choose, flags, context);
  } catch (error) {
    const told = withNoRoomHint(error, NO_ROOM_HINT);
    reportFailure(told, path, 'repair', context);
    if (context.json) printJson(context, { error: errorJson(told, 'repair') });
    return EXIT_CODES.notDone.code;
  }
}

async function planOnly(
  path: string,
  choose: (image: Image) => RepairChoice,
  context: Context,
): Promise<ExitCode> {
  const source = await openFile(path, { forceShare: context.forceShare });
  try {
    const proposal = await planWithinRoom(source, (how) => proposeRepair(source, choose, how));
    const refusal = await source.refusalToWrite();
    if (context.json) printJson(context, repairPlanJson(path, proposal, refusal));
    else printLines(context, repairPlanLines(path, proposal));
    if (refusal === undefined) return proposal.after.exitCode;
    reportFailure(refusal, path, 'read', context);
    return EXIT_CODES.notDone.code;
  } finally {
    await source.close();
  }
}

async function carryOut(
  path: string,
  choose: (image: Image) => RepairChoice,
  flags: RepairFlags,
  context: Context,
): Promise<ExitCode> {
  const device = await openFileForEdit(path);
  try {
    warnOfLock(path, device.lock.guarantee, context);
    return await context.io.interruptible((signal) => {
      const options = { ...flags, signal };
      return repairOpened(device, path, choose, options, context);
    });
  } finally {
    await device.close();
  }
}

async function repairOpened(
  device: BlockDevice,
  path: string,
  choose: (image: Image) => RepairChoice,
  { undo: undoFile, verify, signal }: RepairFlags & { readonly signal: AbortSignal },
  context: Context,
): Promise<ExitCode> {
  const make = (how: OpenOptions): Promise<ProposedRepair<BlockDevice>> =>
    proposeRepair(device, choose, { ...how, signal });
  const { report, ...proposal } = await editWithinRoom(device, make, async (made) => {
    if (made.plan === undefined) return { ...made, report: undefined };
    const kept =
      undoFile === undefined ? undefined : await keepUndo(device, made.plan, path, undoFile);
    const asForetold = (image: BlockSource) => refuseUnsound(image, made.after.totals);
    const options = { signal, ...(verify === true && { verify: asForetold }) };
    const report = await executePlan(made.plan, options).catch(async (error: unknown) => {
      if (kept && isAsBefore(error)) await kept.abandon();
      throw error;
    });
    return { ...made, report };
  });
  const { plan } = proposal;
  // What the plan promised is looked for in the file itself.
  const done: ProposedRepair = { ...proposal, after: await checkImage(device) };
  const undo = plan === undefined ? undefined : undoFile;
  if (context.json) printJson(context, repairDoneJson(path, done, report, undo));
  else if (!context.quiet) {
    printLines(context, repairDoneLines(path, done, report, undo));
    if (verify === true) printLines(context, [VERIFIED]);
  }
  warnOfSignal(path, signal, context);
  return done.after.exitCode;
}

/** Whether a repair failed before its switch: then nothing is to be undone. */
function isAsBefore(error: unknown): boolean {
  const state = isQsnapError(error) ? error.details.imageState : undefined;
  return state === 'unchanged' || state === 'old';
}

/** The file is whole and on the medium before anything is overwritten; else there is none. */
async function keepUndo(
  device: BlockDevice,
  plan: EditPlan,
  path: string,
  undoFile: string,
): Promise<NewFile> {
  const file = await createNewFile(undoFile);
  try {
    await saveUndo(device, plan, file, newSha256, { image: path, operation: plan.operation });
    await file.close();
    return file;
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

function choiceOf(what: readonly string[], flags: RepairFlags, image: Image): RepairChoice {
  return {
    ...parseRepairWords(what),
    dropSnapshots: (flags.dropSnapshot ?? []).map((text) => selectSnapshot(image, text).index),
    ...(flags.dropUnreadSnapshots === true && { dropUnreadSnapshots: true }),
    emptyL1s: (flags.emptyL1 ?? []).map((text) =>
      text === 'active' ? text : selectSnapshot(image, text).index,
    ),
    ...(flags.dropBitmaps === true && { dropBitmaps: true }),
    ...(flags.punch === true && { punch: true }),
  };
}
