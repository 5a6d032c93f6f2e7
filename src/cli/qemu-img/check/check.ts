/** `check`: counts all references, and repairs what it is told to. */
import {
  checkImage,
  editWithinRoom,
  executePlan,
  proposeRepair,
  type BlockSource,
  type CheckReport,
  type OpenOptions,
  type ProposedRepair,
  type RepairClass,
} from '../../../index.js';
import { openFile, openFileForEdit } from '../../../node/index.js';
import {
  eachOption,
  fileRequest,
  oneOperand,
  type ArgvContext,
  type FileRequest,
} from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import type { Run } from '../run-command.js';
import type { QemuImgIo } from '../disks/io.js';
import { jsonText } from '../json.js';
import { fixedOf, printFindings, toldOf } from './findings-text.js';
import { humanLines, jsonTree } from './totals-text.js';
import { CHECK, failureText, openFailureText } from '../messages/check.js';
import { couldNotOpen, guessedRawWarning, OPEN_REASONS } from '../messages.js';
import { isJsonOutput, USAGE } from '../messages/usage.js';
import {
  openingReason,
  withUnreadImage,
  type EditableFile,
  type UnreadFile,
} from '../disks/opened.js';
import { Refusal, UsageError } from '../refusal.js';
import { targetOf, type Target } from '../disks/target.js';

interface CheckRequest extends FileRequest {
  readonly format: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly repair: 'leaks' | 'all' | undefined;
}

/** How QEMU may cache the file, which is none of our business. */
const CACHE_MODES = ['none', 'off', 'directsync', 'writeback', 'unsafe', 'writethrough'];

/** QEMU prints every finding, and not who refers to what. */
const CHECKING = { maxFindings: 100_000, owners: false } as const;

const CLASSES: Readonly<Record<'leaks' | 'all', readonly RepairClass[]>> = {
  leaks: ['leaks'],
  all: ['all', 'leaks'],
};

/** Parses the arguments of `check`. */
export function parseCheck(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const operands = eachOption(
    argv,
    grammarOf('check', context.behaviour),
    context,
    ({ name, value }) => {
      const long = name === 'r' ? 'repair' : name;
      if (long === 'repair' && value !== 'leaks' && value !== 'all') {
        throw new UsageError(CHECK.repairValue(value, context.behaviour));
      }
      if (name === 'T' && !CACHE_MODES.includes(value)) {
        throw new Refusal(CHECK.sourceCache(value));
      }
      values.set(long, value);
    },
  );
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const output = values.get('output') ?? 'human';
  const json = isJsonOutput(output, context.behaviour);
  const format = values.get('format');
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const repair = values.get('repair') as CheckRequest['repair'];
  const request = { ...file, format, json, quiet: values.has('q'), repair };
  return (io) => runCheck(request, io);
}

async function runCheck(request: CheckRequest, io: QemuImgIo): Promise<number> {
  const target = targetOf(request.operand, request.imageOpts, request.format);
  if (request.repair === undefined) {
    const open = (): ReturnType<typeof openFile> => openFile(target.path, request);
    return withUnreadImage(target, false, open, async (opened) => {
      return report(await checked(opened), undefined, request, target, io);
    });
  }
  if (request.forceShare) throw couldNotOpen(target.operand, OPEN_REASONS.forceShareForEdit);
  const classes = CLASSES[request.repair];
  return withUnreadImage(
    target,
    true,
    () => openFileForEdit(target.path),
    async (opened) => {
      if (opened.kind === 'raw' && opened.guessed) {
        io.printError(`${guessedRawWarning(target.shown)}\n`);
      }
      refuseRaw(opened);
      const { file }: { readonly file: EditableFile } = opened;
      const make = (how: OpenOptions): Promise<ProposedRepair<EditableFile>> =>
        proposeRepair(file, () => ({ classes }), how);
      const { before } = await editWithinRoom(file, make, async (made) => {
        refuseUnopened(made.before, target, true);
        const { plan } = made;
        if (plan !== undefined) await io.interruptible((signal) => executePlan(plan, { signal }));
        return made;
      });
      const after = await checkImage(opened.file, CHECKING);
      return report(after, before, request, target, io);
    },
  );
}

async function checked(opened: UnreadFile<BlockSource>): Promise<CheckReport> {
  refuseRaw(opened);
  return checkImage(opened.file, CHECKING);
}

/** QEMU opens no image whose header is wrong in this way, for a check neither. */
function refuseUnopened({ qemuFailure }: CheckReport, target: Target, forEdit: boolean): void {
  const cause = qemuFailure?.cause;
  if (cause === undefined) return;
  throw couldNotOpen(target.operand, openingReason(cause, target, forEdit));
}

function refuseRaw({ kind }: UnreadFile<BlockSource>): void {
  if (kind === 'raw') throw new Refusal(CHECK.unsupportedFormat, [], 63);
}

function report(
  found: CheckReport,
  before: CheckReport | undefined,
  request: CheckRequest,
  target: Target,
  io: QemuImgIo,
): number {
  const { totals, qemuFailure, qemuExitCode } = found;
  const told = toldOf(found, before);
  refuseUnopened(found, target, false);
  if (qemuFailure?.when === 'open') {
    throw couldNotOpen(target.operand, openFailureText(told.findings, qemuFailure.error, io.tell));
  }
  const failure = qemuFailure === undefined ? undefined : failureText(told.findings);
  if (failure === undefined) printFindings(told, io);
  else io.warn(failure);
  if (qemuFailure !== undefined) throw new Refusal(CHECK.failed(qemuFailure.error));
  const fixed = fixedOf(told, before);
  if (fixed.leaks + fixed.corruptions > 0) printFindings(toldOf(found, undefined), io);
  if (request.quiet) {
    // Only what is wrong is said.
  } else if (request.json) io.printLines([jsonText(jsonTree(totals, fixed, target))]);
  else io.printLines(humanLines(totals, fixed));
  if (totals.checkErrors > 0) throw new Refusal(CHECK.failedAtAll);
  return qemuExitCode;
}
