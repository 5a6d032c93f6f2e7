import {
  editWithinRoom,
  executePlan,
  executeStages,
  isQsnapError,
  openImage,
  type BlockDevice,
  type BlockSource,
  type ExecuteOptions,
  type ExecuteReport,
  type Image,
  type OpenImage,
  type OpenOptions,
  type Stoppable,
} from '../../index.js';
import { noWorseThan, planWithinRoom, printableText } from '../../internal.js';
import { openFile, openFileForEdit } from '../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { hintOf } from '../hints.js';
import { startProgress, type Progress } from '../progress.js';
import { printJson, printLines, printWarning, type Context } from './context.js';
import type { Touched } from './libvirt/done-edit.js';
import { tellOfLibvirt } from './libvirt/tell-libvirt.js';
import { warnOfNames } from './name-warnings.js';
import { isStaged, type AnyEdit } from './present/any-edit.js';
import { mendedLines } from './present/edit-text.js';
import { doneJson, dryRunJson } from './present/plan-json.js';
import { dryRunLines } from './present/plan-text.js';
import { errorJson, reportFailure } from './report.js';

/** Flags that every edit has. */
export interface EditFlags {
  readonly dryRun?: boolean;
  readonly verify?: boolean;
}

/** One edit: how its plan is made, and what is said when it is done. */
export interface Edit {
  readonly path: string;
  readonly flags: EditFlags;
  plan<Source extends BlockSource>(
    image: OpenImage<Source>,
    planning: Stoppable,
  ): Promise<AnyEdit<Source>>;
  doneLines(plan: AnyEdit, report: ExecuteReport, image: Image): readonly string[];
  /** The snapshots that it is about, once it is planned. */
  touched?(): Touched;
  /** What is to be done after the switch. */
  complete?(device: BlockDevice, plan: AnyEdit): Promise<void>;
  /** Said after the plan of a dry run. */
  plannedLines?(image: Image): readonly string[];
  /** What the document of `--json` has besides. */
  moreJson?(): Readonly<Record<string, unknown>>;
  /** Takes the document of `--json`; without it the document is printed. */
  emitJson?(document: unknown): void;
  /** What to do where there is no room. */
  readonly noRoomHint?: string;
}

/**
 * Opens the image, plans, and carries the plan out or, in a dry run, prints it. A dry run opens the
 * file for reading only.
 */
export async function edit(what: Edit, context: Context): Promise<ExitCode> {
  try {
    if (what.flags.dryRun === true) return await planOnly(what, context);
    const { image, plan } = await carryOut(what, context);
    const touched = what.touched?.();
    if (touched !== undefined) {
      const { path } = what;
      await tellOfLibvirt([{ ...touched, path, image, created: plan.created }], context);
    }
    return EXIT_CODES.done.code;
  } catch (error) {
    const told = withNoRoomHint(error, what.noRoomHint);
    reportFailure(told, what.path, 'edit', context);
    if (context.json) emitJson(what, { error: errorJson(told, 'edit') }, context);
    return EXIT_CODES.notDone.code;
  }
}

function emitJson(what: Edit, document: unknown, context: Context): void {
  if (what.emitJson === undefined) printJson(context, document);
  else what.emitJson(document);
}

/** The error, and where it is that there is no room, what to do about that. */
export function withNoRoomHint(error: unknown, noRoomHint: string | undefined): unknown {
  if (noRoomHint === undefined || !isQsnapError(error)) return error;
  const isFull = error.code === 'NO_SPACE' && error.details.imageState !== 'new';
  if (!isFull) return error;
  const hint = hintOf(error);
  return error.with({ hint: hint === undefined ? noRoomHint : `${hint}: ${noRoomHint}` });
}

function execute(plan: AnyEdit<BlockDevice>, options: ExecuteOptions): Promise<ExecuteReport> {
  return isStaged(plan) ? executeStages(plan, options) : executePlan(plan, options);
}

interface Opened<Source extends BlockSource> {
  readonly image: OpenImage<Source>;
  readonly plan: AnyEdit<Source>;
}

async function opened<Source extends BlockSource>(
  what: Edit,
  source: Source,
  how: OpenOptions,
  planning: Stoppable = {},
): Promise<Opened<Source>> {
  const image = await openImage(source, how);
  return { image, plan: await what.plan(image, planning) };
}

/** An edit that could not even open the image is foretold as such, after its plan. */
async function planOnly(what: Edit, context: Context): Promise<ExitCode> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`planning the edit of ${what.path}`);
  try {
    const source = await openFile(what.path, { forceShare: context.forceShare });
    try {
      const { plan, image } = await planWithinRoom(source, (how) => opened(what, source, how));
      const refusal = await source.refusalToWrite();
      progress.stop();
      warnOfNames(what.path, plan, image, what.touched?.().renamed, context);
      if (context.json) {
        const planned = dryRunJson(what.path, plan, image, refusal);
        emitJson(what, { ...planned, ...what.moreJson?.() }, context);
      } else {
        const more = what.plannedLines?.(image) ?? [];
        printLines(context, [...dryRunLines(what.path, plan, image), ...more]);
      }
      if (refusal !== undefined) reportFailure(refusal, what.path, 'read', context);
      return refusal === undefined ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
    } finally {
      await source.close();
    }
  } finally {
    progress.stop();
  }
}

async function carryOut(what: Edit, context: Context): Promise<DoneEdit> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`planning the edit of ${what.path}`);
  const edited = { isDone: false };
  try {
    const device = await openFileForEdit(what.path);
    try {
      warnOfLock(what.path, device.lock.guarantee, context);
      return await context.io.interruptible(async (signal) => {
        const done = await planAndExecute(what, device, progress, signal);
        edited.isDone = true;
        progress.stop();
        tell(what, done, context);
        warnOfSignal(what.path, signal, context);
        return done;
      });
    } finally {
      await device.close();
    }
  } catch (error) {
    throw edited.isDone && isQsnapError(error) ? error.with({ imageState: 'new' }) : error;
  } finally {
    progress.stop();
  }
}

interface DoneEdit extends Opened<BlockDevice> {
  readonly report: ExecuteReport;
}

function planAndExecute(
  what: Edit,
  device: BlockDevice,
  progress: Progress,
  signal: AbortSignal,
): Promise<DoneEdit> {
  const make = (how: OpenOptions): Promise<Opened<BlockDevice>> =>
    opened(what, device, how, { signal });
  return editWithinRoom(device, make, async (made) => {
    const sizeBytes = (await device.sizeBytes()) + made.plan.facts.growthBytes;
    const verify =
      what.flags.verify === true ? await noWorseThan(device, sizeBytes, { signal }) : undefined;
    progress.phase(`writing to ${what.path}`);
    const options = { onProgress: progress.update, verify, signal };
    const report = await execute(made.plan, options);
    await what.complete?.(device, made.plan);
    return { ...made, report };
  });
}

function tell(what: Edit, { plan, image, report }: DoneEdit, context: Context): void {
  const verified = what.flags.verify === true;
  warnOfNames(what.path, plan, image, what.touched?.().renamed, context);
  if (context.json) {
    const done = doneJson(what.path, plan, report, image, verified);
    emitJson(what, { ...done, ...what.moreJson?.() }, context);
  } else if (!context.quiet) {
    printLines(context, [...what.doneLines(plan, report, image), ...mendedLines(plan)]);
    if (verified) printLines(context, [VERIFIED]);
  }
}
/** Says of a signal that came too late to stop an edit that the edit is complete. */
export function warnOfSignal(path: string, signal: AbortSignal, context: Context): void {
  if (!signal.aborted) return;
  const received = String(signal.reason);
  printWarning(
    context,
    `${printableText(path)}: ${received} came after the switch: the edit is done`,
  );
}

/** Said of an edit that was verified. */
export const VERIFIED = 'Verified: what was written reads back, and a check finds nothing new.';

/** Without a lock nothing keeps another program out: the reader of the terminal has to know. */
export function warnOfLock(
  path: string,
  guarantee: 'locked' | 'looked' | 'none',
  context: Context,
): void {
  if (guarantee === 'locked') return;
  const known =
    guarantee === 'looked'
      ? 'nobody was using it at the start, but nothing keeps others from opening it meanwhile'
      : 'whether anybody is using it is not known';
  printWarning(context, `${printableText(path)}: the image can't be locked here: ${known}`);
}
