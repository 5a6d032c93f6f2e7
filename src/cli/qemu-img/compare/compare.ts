/** `compare`: whether two disks hold the same. */
import { eachOption, type ArgvContext, type GivenOption } from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import { isCacheMode } from '../grammar/cache-mode.js';
import type { Run } from '../run-command.js';
import { comparePair, compareWithZeros, type Side, type Verdict } from './compare-walk.js';
import type { QemuImgIo } from '../disks/io.js';
import { COMPARE } from '../messages/compare.js';
import { systemText } from '../messages.js';
import { USAGE } from '../messages/usage.js';
import type { Secrets } from '../grammar/option-strings.js';
import { percentLines, type PercentLines } from '../percent-lines.js';
import { corruptionLine } from '../messages/map.js';
import { Refusal, UsageError } from '../refusal.js';
import { withSourceDisk, type SourceDisk, type SourceRequest } from '../disks/source-disk.js';

interface CompareRequest {
  readonly sources: readonly [SourceRequest, SourceRequest];
  readonly cache: string | undefined;
  readonly strict: boolean;
  readonly quiet: boolean;
  readonly progress: boolean;
}

/** Exit codes beside 0 for equal disks. */
const DIFFERENT = 1;
const NOT_OPENED = 2;
const STATUS_FAILED = 3;
const READ_FAILED = 4;

/** How many per cent go by between two lines. */
const PROGRESS_STEP = 2;

/** Parses the arguments of `compare`. */
export function parseCompare(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const secrets: Secrets = new Map();
  const { behaviour } = context;
  const grammar = grammarOf('compare', behaviour);
  const take = ({ name, value }: GivenOption): void => void values.set(name, value);
  const parse = () => eachOption(argv, grammar, context, take, secrets);
  const operands = behaviour.objectIsUsage ? parse() : orNotOpened(parse);
  if (operands === undefined) return undefined;
  const [first, second] = operands;
  if (first === undefined || second === undefined || operands.length !== 2) {
    throw new UsageError(COMPARE.twoFiles);
  }
  const sourceOf = (operand: string, format: string | undefined): SourceRequest => ({
    operand,
    format,
    secrets,
    imageOpts: values.has('image-opts'),
    forceShare: values.has('force-share'),
  });
  const request: CompareRequest = {
    sources: [sourceOf(first, values.get('format')), sourceOf(second, values.get('F'))],
    cache: values.get('T'),
    strict: values.has('s'),
    quiet: values.has('q'),
    progress: values.has('p') && !values.has('q'),
  };
  return (io) => runCompare(request, io);
}

/** Anything but wrong usage that keeps the disks from being opened has an exit code of its own. */
function orNotOpened<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw notOpened(error);
  }
}

function notOpened(error: unknown): unknown {
  if (!(error instanceof Refusal) || error.exitCode !== 1 || error instanceof UsageError)
    return error;
  return new Refusal(error.text, error.before, NOT_OPENED);
}

async function runCompare(request: CompareRequest, io: QemuImgIo): Promise<number> {
  const { cache, sources } = request;
  if (cache !== undefined && !isCacheMode(cache)) {
    throw new Refusal(COMPARE.sourceCache(cache), [], NOT_OPENED);
  }
  let progress: PercentLines | undefined;
  try {
    return await opened(sources[0], io, (first) =>
      opened(sources[1], io, (second) => {
        progress = percentLines(io, request.progress, PROGRESS_STEP);
        return compared([first, second], request, progress, io);
      }),
    );
  } catch (error) {
    throw notOpened(error);
  } finally {
    if (request.progress) io.print('\n');
  }
}

async function opened(
  request: SourceRequest,
  io: QemuImgIo,
  use: (source: SourceDisk) => Promise<number>,
): Promise<number> {
  if (request.imageOpts && request.format !== undefined) {
    throw new Refusal(USAGE.imageOptsAndFormat);
  }
  return withSourceDisk(request, io, use);
}

async function compared(
  sources: readonly [SourceDisk, SourceDisk],
  { strict, quiet, sources: requests }: CompareRequest,
  progress: PercentLines,
  io: QemuImgIo,
): Promise<number> {
  const say = (line: string): void => {
    if (!quiet) io.printLines([line]);
  };
  const [a, b] = sources.map(({ sizeBytes }) => sizeBytes) as [number, number];
  const total = Math.max(a, b);
  if (strict && a !== b) {
    say(COMPARE.strictSizes);
    return DIFFERENT;
  }
  const onDone = (bytes: number): void => {
    progress.add(Math.fround(Math.fround(Math.fround(bytes) / Math.fround(total)) * 100));
  };
  const end = (verdict: Verdict): number => told(verdict, requests, say);
  const verdict = await comparePair([sources[0].disk, sources[1].disk], { strict, onDone });
  if (verdict.kind !== 'same') return end(verdict);
  if (a !== b) {
    say(COMPARE.sizesDiffer);
    const side: Side = a > b ? 0 : 1;
    const rest = await compareWithZeros(sources[side].disk, Math.min(a, b), side, onDone);
    if (rest.kind !== 'same') return end(rest);
  }
  say(COMPARE.identical);
  return 0;
}

function told(
  verdict: Verdict,
  requests: CompareRequest['sources'],
  say: (line: string) => void,
): number {
  switch (verdict.kind) {
    case 'same':
      return 0;
    case 'content':
      say(COMPARE.contentDiffers(verdict.at));
      return DIFFERENT;
    case 'status':
      say(COMPARE.strictStatus(verdict.at));
      return DIFFERENT;
    case 'read-failed': {
      const { operand } = requests[verdict.disk];
      const reason = systemText(verdict.error.details.systemCode ?? 'EIO') ?? systemText('EIO')!;
      throw new Refusal(COMPARE.readFailed(verdict.at, operand, reason), [], READ_FAILED);
    }
    case 'status-failed': {
      const line = corruptionLine(verdict.error);
      const before = line === undefined ? [] : [line];
      const { operand } = requests[verdict.disk];
      throw new Refusal(COMPARE.statusFailed(operand), before, STATUS_FAILED);
    }
  }
}
