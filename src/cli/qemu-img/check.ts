/** `check`: counts all references, and repairs what it is told to. */
import {
  checkImage,
  editWithinRoom,
  executePlan,
  proposeRepair,
  type BlockSource,
  type CheckReport,
  type CheckTotals,
  type Finding,
  type OpenOptions,
  type ProposedRepair,
  type RepairClass,
} from '../../index.js';
import { openFile, openFileForEdit } from '../../node/index.js';
import {
  eachOption,
  fileRequest,
  oneOperand,
  type ArgvContext,
  type FileRequest,
} from './grammar/argv.js';
import { grammarOf } from './grammar/command-options.js';
import type { Run } from './run-command.js';
import type { QemuImgIo } from './disks/io.js';
import { jsonText, type Tree } from './json.js';
import { CHECK, failureText, findingText, openFailureText } from './messages/check.js';
import {
  couldNotOpen,
  guessedRawWarning,
  INCONSISTENT_BITMAPS_WARNING,
  OPEN_REASONS,
} from './messages.js';
import { isJsonOutput, USAGE } from './messages/usage.js';
import {
  openingReason,
  withUnreadImage,
  type EditableFile,
  type UnreadFile,
} from './disks/opened.js';
import { Refusal, UsageError } from './refusal.js';
import { targetOf, type Target } from './disks/target.js';

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

/** What a double check leaves less than the check found has been repaired. */
function fixedOf(
  now: CheckTotals,
  before: CheckReport | undefined,
): { leaks: number; corruptions: number } {
  if (before === undefined) return { leaks: 0, corruptions: 0 };
  const { leaks, corruptions } = before.totals;
  return {
    leaks: Math.max(0, leaks - now.leaks),
    corruptions: Math.max(0, corruptions - now.corruptions),
  };
}

function report(
  found: CheckReport,
  before: CheckReport | undefined,
  request: CheckRequest,
  target: Target,
  io: QemuImgIo,
): number {
  const { totals, qemuFailure, qemuExitCode } = found;
  const { findings } = before ?? found;
  refuseUnopened(found, target, false);
  if (qemuFailure?.when === 'open') {
    throw couldNotOpen(target.operand, openFailureText(findings, qemuFailure.error, io.tell));
  }
  const failure = qemuFailure === undefined ? undefined : failureText(findings);
  if (failure === undefined) printFindings(findings, io);
  else io.warn(failure);
  if (qemuFailure !== undefined) throw new Refusal(CHECK.failed(qemuFailure.error));
  const fixed = fixedOf(totals, before);
  if (request.quiet) {
    // Only what is wrong is said.
  } else if (request.json) io.printLines([jsonText(jsonTree(totals, fixed, target))]);
  else io.printLines(humanLines(totals, fixed));
  if (totals.checkErrors > 0) throw new Refusal(CHECK.failedAtAll);
  return qemuExitCode;
}

const REFCOUNTS =
  /^(?:REFCOUNT_ZERO|REFCOUNT_TOO_LOW|REFCOUNT_TOO_HIGH|REFCOUNT_UNREADABLE|CLUSTER_LEAKED|CLUSTER_PERHAPS_LOST|REFERENCES_PERHAPS_LOST)$/;

/** QEMU's passes: the snapshot table as it is read, all other tables, refcounts, COPIED flags. */
function passOf({ code }: Finding): number {
  if (code === 'SNAPSHOT_EXTRA_MISSING') return 0;
  if (REFCOUNTS.test(code)) return 2;
  return /^L[12]_COPIED/.test(code) ? 3 : 1;
}

/** In the order of QEMU's passes; refcounts by cluster. */
function inQemusOrder(findings: readonly Finding[]): readonly Finding[] {
  const clusterOf = (finding: Finding): number =>
    REFCOUNTS.test(finding.code) ? (finding.cluster ?? 0) : 0;
  return findings.toSorted((a, b) => passOf(a) - passOf(b) || clusterOf(a) - clusterOf(b));
}

/** Findings go to stderr whatever is asked of stdout; a table that is visited again, again. */
function printFindings(findings: readonly Finding[], io: QemuImgIo): void {
  if (findings.some(({ code }) => code === 'BITMAPS_STALE'))
    io.warn(INCONSISTENT_BITMAPS_WARNING, '');
  let isFirstUnreadable = true;
  for (const finding of inQemusOrder(findings)) {
    if (finding.beyondQemu || finding.severity === 'note') continue;
    const text = findingText(finding, isFirstUnreadable, io.tell);
    const isUnreadable = finding.code === 'REFCOUNT_UNREADABLE';
    if (isUnreadable) isFirstUnreadable = false;
    for (let i = 0; i < (isUnreadable ? 1 : finding.times); i++) io.printError(`${text}\n`);
  }
}

function humanLines(totals: CheckTotals, fixed: { leaks: number; corruptions: number }): string[] {
  const { corruptions, leaks, checkErrors, allocatedClusters, totalClusters } = totals;
  const isFine = corruptions + leaks + checkErrors === 0;
  const { fragmentedClusters, compressedClusters, imageEndOffset } = totals;
  return [
    ...(fixed.leaks + fixed.corruptions === 0
      ? []
      : CHECK.repaired(fixed.leaks, fixed.corruptions)),
    ...(isFine ? [CHECK.noErrors] : []),
    ...(corruptions > 0 ? CHECK.corruptions(corruptions) : []),
    ...(leaks > 0 ? CHECK.leaks(leaks) : []),
    ...(checkErrors > 0 ? CHECK.checkErrors(checkErrors) : []),
    ...(totalClusters > 0 && allocatedClusters > 0
      ? [
          `${allocatedClusters}/${totalClusters} = ` +
            `${percent(allocatedClusters, totalClusters)}% allocated, ` +
            `${percent(fragmentedClusters, allocatedClusters)}% fragmented, ` +
            `${percent(compressedClusters, allocatedClusters)}% compressed clusters`,
        ]
      : []),
    ...(imageEndOffset > 0 ? [`Image end offset: ${imageEndOffset}`] : []),
  ];
}

/** Two places, ties to the even digit, as printf rounds. */
function percent(part: number, whole: number): string {
  const hundredths = (part * 10_000) / whole;
  const below = Math.floor(hundredths);
  const isTie = hundredths - below === 0.5;
  const rounded = isTie && below % 2 === 0 ? below : Math.round(hundredths);
  return (rounded / 100).toFixed(2);
}

/** Members in the order that QEMU prints them, as measured; those that are 0 are left out. */
function jsonTree(
  totals: CheckTotals,
  fixed: { leaks: number; corruptions: number },
  target: Target,
): Tree {
  const members: readonly (readonly [key: string, value: Tree])[] = [
    ['image-end-offset', totals.imageEndOffset],
    ['compressed-clusters', totals.compressedClusters],
    ['total-clusters', totals.totalClusters],
    ['corruptions', totals.corruptions],
    ['check-errors', totals.checkErrors],
    ['leaks', totals.leaks],
    ['corruptions-fixed', fixed.corruptions],
    ['leaks-fixed', fixed.leaks],
    ['allocated-clusters', totals.allocatedClusters],
    // Options are told as they were given.
    ['filename', target.operand],
    ['format', 'qcow2'],
    ['fragmented-clusters', totals.fragmentedClusters],
  ];
  return Object.fromEntries(
    members.filter(([key, value]) => value !== 0 || key === 'check-errors'),
  );
}
