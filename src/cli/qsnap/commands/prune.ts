import {
  choosePruned,
  freedByDeleting,
  measureUsage,
  openImage,
  planDelete,
  type MappedVmState,
  type PruneChoice,
  type Snapshot,
} from '../../../index.js';
import { printableText } from '../../../internal.js';
import { openFile } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText, sizeText } from '../../text.js';
import { printJson, printLines, type Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { localPeriods } from '../local-periods.js';
import { pruneRules, type PruneRuleFlags } from '../prune-rules.js';
import { choiceJson } from '../present/prune-json.js';
import { choiceLines } from '../present/prune-text.js';
import { deletedLines } from '../present/edit-text.js';
import { errorJson, reportFailure } from '../report.js';
import { stayingJson, stayingLines, stayingVmState } from '../staying-vm-state.js';

/** Flags of `prune`. */
export interface PruneFlags extends EditFlags, PruneRuleFlags {
  readonly yes?: boolean;
}

const NO_ROOM_HINT = 'make so much room, or delete with `qsnap delete --in-place`';

const CONFIRM_HINT = 'say so with --yes, or look first with --dry-run';

/** `qsnap prune IMAGE…` */
export async function prune(
  paths: readonly string[],
  flags: PruneFlags,
  context: Context,
): Promise<ExitCode> {
  const documents: Record<string, unknown>[] = [];
  let code: ExitCode = EXIT_CODES.done.code;
  for (const path of paths) {
    const done = await pruneOne(path, flags, context, documents);
    if (done !== EXIT_CODES.done.code) code = done;
  }
  if (context.json) printJson(context, { images: documents });
  return code;
}

async function pruneOne(
  path: string,
  flags: PruneFlags,
  context: Context,
  documents: Record<string, unknown>[],
): Promise<ExitCode> {
  const asks = flags.dryRun !== true && flags.yes !== true;
  let chosen: Chosen;
  try {
    chosen = await choose(path, flags, asks, context);
  } catch (error) {
    reportFailure(error, path, 'edit', context);
    documents.push({ filename: path, error: errorJson(error, 'edit') });
    return EXIT_CODES.notDone.code;
  }
  const { choices, doomed } = chosen;
  const told = context.json ? choices.map((choice) => choiceJson(choice)) : [];
  const document = { filename: path, snapshots: told };
  const isShown = asks || flags.dryRun === true || doomed.length === 0;
  if (isShown && !context.json && !context.quiet) {
    printLines(context, [`${printableText(path)}:`, ...choiceLines(choices)]);
  }
  if (doomed.length === 0) {
    documents.push(document);
    return EXIT_CODES.done.code;
  }
  if (asks && !(await mayDelete(path, chosen, context))) {
    documents.push({ ...document, declined: true });
    return EXIT_CODES.notDone.code;
  }
  let staying: readonly MappedVmState[] = [];
  return edit(
    {
      path,
      flags,
      // A snapshot that is not as it was when it was chosen is refused by its own name.
      plan: async (image, planning) => {
        staying = await stayingVmState(image, doomed);
        return planDelete(image, doomed, planning);
      },
      touched: () => ({ deleted: doomed }),
      doneLines: (plan, report, image) => [
        ...deletedLines(path, doomed, plan, report, image),
        ...stayingLines(staying),
      ],
      plannedLines: () => stayingLines(staying),
      moreJson: () => stayingJson(staying),
      emitJson: (made) => {
        documents.push({ ...document, edit: made });
      },
      noRoomHint: NO_ROOM_HINT,
    },
    context,
  );
}

/** What becomes of the snapshots of an image. */
interface Chosen {
  readonly choices: readonly PruneChoice[];
  readonly doomed: readonly Snapshot[];
  /** What that frees; undefined where nobody is asked. */
  readonly freedBytes: number | undefined;
}

/** @throws QsnapError why the image can't be read whole; PRUNE_RULES_INVALID. */
async function choose(
  path: string,
  flags: PruneFlags,
  asks: boolean,
  context: Context,
): Promise<Chosen> {
  const source = await openFile(path, { forceShare: context.forceShare });
  try {
    const image = await openImage(source);
    const choices = choosePruned(
      image.snapshots,
      pruneRules(flags, context.io.now()),
      localPeriods,
    );
    const doomed = choices.filter(({ keptBy }) => keptBy.length === 0).map((one) => one.snapshot);
    const freedBytes =
      asks && doomed.length > 0
        ? freedByDeleting(await measureUsage(image), doomed).freedBytes
        : undefined;
    return { choices, doomed, freedBytes };
  } finally {
    await source.close();
  }
}

/**
 * Whether a person says yes.
 *
 * @returns false also where nobody is there to ask; then it is said what to do.
 */
async function mayDelete(
  path: string,
  { doomed, freedBytes }: Chosen,
  context: Context,
): Promise<boolean> {
  const { ask } = context.io;
  const what = countText(doomed.length, 'snapshot');
  if (ask === undefined || context.json) {
    const prefix = context.errorStyle.error('qsnap:');
    const line = `${prefix} ${printableText(path)}: ${what} would be deleted, and nobody can be asked`;
    context.io.stderr.write(`${line}\nhint: ${CONFIRM_HINT}\nThe image is unchanged.\n`);
    return false;
  }
  const answer = await ask(
    `Delete ${what} from ${printableText(path)}, which frees ${sizeText(freedBytes!)}? [y/N] `,
  );
  if (/^y(es)?$/i.test(answer.trim())) return true;
  printLines(context, ['Nothing was deleted.']);
  return false;
}
