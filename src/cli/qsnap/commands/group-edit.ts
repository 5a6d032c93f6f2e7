import type {
  DoneGroupEdit,
  EditOptions,
  ImageGroup,
  PlannedGroupEdit,
  Progress as EngineProgress,
  ProgressOptions,
  QsnapError,
} from '../../../index.js';
import type { Command } from 'commander';
import { openGroup } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress, type Progress } from '../../progress.js';
import { countText } from '../../text.js';
import { printJson, printLines, type Context } from '../context.js';
import type { DateValue } from '../date-option.js';
import { VERIFIED, warnOfLock, warnOfSignal } from '../editing.js';
import type { EditFlags } from '../editing.js';
import { doneInGroup } from '../libvirt/done-edit.js';
import { tellOfLibvirt } from '../libvirt/tell-libvirt.js';
import { warnOfNames } from '../name-warnings.js';
import { groupDoneJson, groupDryRunJson } from '../present/group-json.js';
import { groupDoneLines, groupDryRunLines, NOTHING_TO_RESUME } from '../present/group-text.js';
import { reportFailure } from '../report.js';
import { reportGroupFailure } from '../group-failure.js';
import { dateNow } from '../snapshot-date.js';
import { NOTHING_STAYS, stayingInGroup, type StayingInGroup } from '../staying-vm-state.js';

/** What can be done to a group. */
export type GroupOperation = 'create' | 'apply' | 'delete';

/** Flags of the commands that edit a group. */
export interface GroupFlags extends EditFlags {
  readonly group: readonly string[];
  readonly resume?: boolean;
  readonly date?: DateValue;
  readonly discardChanges?: boolean;
  readonly saveAs?: string;
}

/** @throws CommanderError where names are missing, or there are some that the record has already. */
export function refuseNames(command: Command, { resume }: GroupFlags): void {
  if (resume === true && command.args.length > 0) {
    command.error('error: --resume takes no names: the record of the edit has them');
  }
  if (resume === true || command.args.length > 0) return;
  const name = command.registeredArguments[0]!.name();
  command.error(
    `error: missing required argument '${name}'\n` +
      '(it goes before --group, or behind `--`: all that follows --group is taken for images)',
  );
}

type OpenGroup = Awaited<ReturnType<typeof openGroup>>;

/** `qsnap create|apply|delete NAME… --group IMAGE…` */
export async function editGroup(
  operation: GroupOperation,
  names: readonly string[],
  flags: GroupFlags,
  context: Context,
): Promise<ExitCode> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`planning the edit of ${countText(flags.group.length, 'image')}`);
  const asked = { operation, names, flags, date: flags.date ?? dateNow(context.io) };
  try {
    const isDry = flags.dryRun === true;
    const { forceShare } = context;
    const group = await openGroup(flags.group, isDry ? { forceShare } : { write: true });
    try {
      return isDry
        ? await planOnly(asked, group, progress, context)
        : await carryOut(asked, group, progress, context);
    } finally {
      await group.close();
    }
  } catch (error) {
    progress.stop();
    reportGroupFailure(error, flags.group[0]!, context);
    return EXIT_CODES.notDone.code;
  } finally {
    progress.stop();
  }
}

/** What the command line asks for. */
interface Asked {
  readonly operation: GroupOperation;
  readonly names: readonly string[];
  readonly flags: GroupFlags;
  /** Of what is created. */
  readonly date: DateValue;
}

async function planOnly(
  asked: Asked,
  group: OpenGroup,
  progress: Progress,
  context: Context,
): Promise<ExitCode> {
  const stayingIn = await stayingFor(asked, group);
  const planned = await plannedOf(asked, group, {});
  progress.stop();
  if (planned === undefined) return nothingToResume(asked.operation, context);
  const refused = new Map<string, QsnapError | undefined>();
  for (const source of group.sources) refused.set(source.label, await source.refusalToWrite());
  warnOfNewNames(planned, context);
  if (context.json) printJson(context, groupDryRunJson(planned, refused, stayingIn));
  else printLines(context, groupDryRunLines(planned, stayingIn));
  for (const [file, refusal] of refused) {
    if (refusal !== undefined) reportFailure(refusal, file, 'read', context);
  }
  const isRefused = [...refused.values()].some((refusal) => refusal !== undefined);
  return isRefused ? EXIT_CODES.notDone.code : EXIT_CODES.done.code;
}

/** VM state may live on where snapshots are deleted. */
async function stayingFor({ operation }: Asked, { sources }: OpenGroup): Promise<StayingInGroup> {
  return operation === 'delete' ? stayingInGroup(sources) : NOTHING_STAYS;
}

function plannedOf(
  { operation, names, flags, date }: Asked,
  group: ImageGroup,
  options: ProgressOptions,
): Promise<PlannedGroupEdit | undefined> {
  const { discardChanges, saveAs } = flags;
  if (flags.resume === true) return group.planResume({ ...options, operation, discardChanges });
  switch (operation) {
    case 'create':
      return group.planCreate(names[0]!, { ...options, date });
    case 'apply':
      return group.planApply(names[0]!, { ...options, discardChanges, saveAs, date });
    case 'delete':
      return group.planDelete(names, options);
  }
}

function doneOf(
  { operation, names, flags, date }: Asked,
  group: ImageGroup,
  options: EditOptions,
): Promise<DoneGroupEdit | undefined> {
  const { discardChanges, saveAs } = flags;
  if (flags.resume === true) return group.resume({ ...options, operation, discardChanges });
  switch (operation) {
    case 'create':
      return group.create(names[0]!, { ...options, date });
    case 'apply':
      return group.apply(names[0]!, { ...options, discardChanges, saveAs, date });
    case 'delete':
      return group.delete(names, options);
  }
}

async function carryOut(
  asked: Asked,
  group: OpenGroup,
  progress: Progress,
  context: Context,
): Promise<ExitCode> {
  for (const { label, lock } of group.sources) warnOfLock(label, lock.guarantee, context);
  return context.io.interruptible(async (signal) => {
    const verify = asked.flags.verify === true;
    const stayingIn = await stayingFor(asked, group);
    const onProgress = shownBy(progress, group.sources.length);
    const done = await doneOf(asked, group, { signal, verify, onProgress });
    progress.stop();
    if (done === undefined) return nothingToResume(asked.operation, context);
    warnOfNewNames(done, context);
    if (context.json) printJson(context, groupDoneJson(done, verify, stayingIn));
    else if (!context.quiet) {
      printLines(context, [...groupDoneLines(done, stayingIn), ...(verify ? [VERIFIED] : [])]);
    }
    warnOfSignal(asked.flags.group.join(', '), signal, context);
    await tellOfLibvirt(doneInGroup(done, asked.date), context);
    return EXIT_CODES.done.code;
  });
}

function warnOfNewNames({ images }: PlannedGroupEdit, context: Context): void {
  for (const { file, plan, image } of images) warnOfNames(file, plan, image, undefined, context);
}

/** A script may resume in any case, and is told that there was nothing to do. */
function nothingToResume(operation: GroupOperation, context: Context): ExitCode {
  if (context.json) printJson(context, { operation, images: [], 'have-it': [] });
  else if (!context.quiet) printLines(context, [NOTHING_TO_RESUME]);
  return EXIT_CODES.done.code;
}

function shownBy(progress: Progress, images: number): (now: EngineProgress) => void {
  let shown = '';
  return ({ phase, done, total }) => {
    if (phase !== shown) progress.phase(`${phase} ${countText(images, 'image')}`);
    shown = phase;
    progress.update(done, total);
  };
}
