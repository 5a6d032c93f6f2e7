/** `bench`: how long a number of reads takes. */
import { isQsnapError, type GuestDisk } from '../../index.js';
import { eachOption, oneOperand, type ArgvContext } from './grammar/argv.js';
import { isCacheMode } from './grammar/cache-mode.js';
import { grammarOf } from './grammar/command-options.js';
import type { Secrets } from './grammar/option-strings.js';
import { byteCountOf, hasHexSuffix, parseSizeArgument } from './grammar/size-argument.js';
import { wholeNumber } from './grammar/whole-number.js';
import type { QemuImgIo } from './disks/io.js';
import { withSourceDisk, type SourceRequest } from './disks/source-disk.js';
import { BENCH } from './messages/bench.js';
import { BYTE_COUNT, couldNotOpen, SIZE_REASONS, systemText } from './messages.js';
import { USAGE } from './messages/usage.js';
import { Refusal } from './refusal.js';
import type { Run } from './run-command.js';
import type { Behaviour } from './version/behaviour.js';

const MAX = 2 ** 31 - 1;
/** Of what is read at a time. */
const MEMORY_BYTES = 64 * 1024 * 1024;
const AIO: ReadonlySet<string> = new Set(['threads', 'native', 'io_uring']);
const UNCACHED: ReadonlySet<string> = new Set(['none', 'off', 'directsync']);

/** What the options say, as they come. */
class Given {
  readonly values = new Map<string, string>();
  readonly secrets: Secrets = new Map();
  count = 75_000;
  depth = 64;
  bytes = 4096;
  step = 0;
  offset = 0n;
  flushInterval = 0;

  has(name: string): boolean {
    return this.values.has(name);
  }
}

/** Options whose value is judged when its turn comes. */
const JUDGED: Readonly<
  Record<string, (value: string, given: Given, context: ArgvContext) => void>
> = {
  c: (value, given, context) => {
    const min = context.behaviour.quotedByteCounts ? 1 : 0;
    given.count = numberOf(value, 'request count', { min, max: MAX }, context);
  },
  d: (value, given, context) => {
    given.depth = numberOf(value, 'queue depth', { min: 1, max: MAX }, context);
  },
  pattern: (value, _, context) => {
    numberOf(value, 'pattern byte', { min: 0, max: 255 }, context);
  },
  'flush-interval': (value, given, context) => {
    given.flushInterval = numberOf(value, 'flush interval', { min: 0, max: MAX }, context);
  },
  s: (value, given, context) => {
    const min = context.behaviour.quotedByteCounts ? 1 : 0;
    given.bytes = bytesOf(value, 'buffer size', min, context);
  },
  S: (value, given, context) => {
    given.step = bytesOf(value, BENCH.stepName(context.behaviour), 0, context);
  },
  o: (value, given, context) => {
    given.offset = byteCountOf(value, 'offset', context);
  },
  t: (value) => {
    if (!isCacheMode(value)) throw new Refusal(BENCH.cache);
  },
  i: (value) => {
    if (!AIO.has(value)) throw new Refusal(BENCH.aio(value));
  },
};

interface Bounds {
  readonly min: number;
  readonly max: number;
}

function numberOf(
  text: string,
  what: string,
  { min, max }: Bounds,
  { behaviour }: ArgvContext,
): number {
  const value = wholeNumber(text);
  if (isNaN(value) || (!behaviour.quotedByteCounts && !(value >= min && value <= max))) {
    throw new Refusal(BENCH.noNumber(what, text, behaviour));
  }
  if (value < min || value > max) throw new Refusal(BENCH.outOfRange(what, min, max));
  return value;
}

function bytesOf(text: string, what: string, min: number, context: ArgvContext): number {
  const { behaviour, warn } = context;
  const size = parseSizeArgument(text, behaviour);
  if (size === 'invalid') throw BYTE_COUNT.invalid(what, text, behaviour);
  if (size === 'out of range' || size < BigInt(min) || size > BigInt(MAX)) {
    throw new Refusal(BENCH.outOfRange(what, min, MAX));
  }
  if (hasHexSuffix(text)) warn(SIZE_REASONS.hexSuffix(text));
  return Number(size);
}

/** Parses the arguments of `bench`. */
export function parseBench(argv: readonly string[], context: ArgvContext): Run | undefined {
  const given = new Given();
  const take = ({ name, value }: { name: string; value: string }): void => {
    given.values.set(name, value);
    JUDGED[name]?.(value, given, context);
  };
  const grammar = grammarOf('bench', context.behaviour);
  const operands = eachOption(argv, grammar, context, take, given.secrets);
  if (operands === undefined) return undefined;
  const operand = oneOperand(operands);
  const isWrite = given.has('w');
  if (!isWrite && given.flushInterval !== 0) throw new Refusal(BENCH.flushOfReads);
  if (given.flushInterval !== 0 && given.flushInterval < given.depth) {
    throw new Refusal(BENCH.flushTooOften);
  }
  if (isWrite) throw new Refusal(BENCH.writes);
  return (io) => runBench(operand, given, io);
}

async function runBench(operand: string, given: Given, io: QemuImgIo): Promise<number> {
  const { values, secrets } = given;
  const format = values.get('format');
  const imageOpts = given.has('image-opts');
  if (imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const forceShare = given.has('force-share');
  const source: SourceRequest = { operand, format, imageOpts, forceShare, secrets };
  await withSourceDisk(source, io, async ({ disk }) => {
    const isNative = given.has('n') || values.get('i') === 'native';
    if (isNative && !UNCACHED.has(values.get('t') ?? '')) {
      throw couldNotOpen(operand, BENCH.nativeCached);
    }
    await measured(disk, given, io);
  });
  return 0;
}

async function measured(disk: GuestDisk, given: Given, io: QemuImgIo): Promise<void> {
  const { count, depth, bytes, offset } = given;
  const step = given.step === 0 ? bytes : given.step;
  io.printLines([BENCH.sending({ count, bytes, depth, offset, step })]);
  const from = secondsOf(io);
  try {
    await io.interruptible(() =>
      readAll(disk, { count, depth, bytes, step, from: offset }, io.behaviour),
    );
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const reason = systemText(error.details.systemCode ?? '') ?? systemText('EIO')!;
    throw new Refusal(BENCH.failed(reason));
  }
  io.printLines([BENCH.completed(secondsOf(io) - from)]);
}

interface Reads {
  readonly count: number;
  readonly depth: number;
  readonly bytes: number;
  readonly step: number;
  readonly from: bigint;
}

/** As many at a time as are asked for, each into memory of its own. */
async function readAll(
  disk: GuestDisk,
  { count, depth, bytes, step, from }: Reads,
  { benchStaysInside }: Behaviour,
): Promise<void> {
  const diskBytes = await disk.sizeBytes();
  const most = Math.max(1, Math.floor(MEMORY_BYTES / Math.max(1, bytes)));
  const together = Math.min(depth, count, most);
  const memory = Array.from({ length: together }, () => new Uint8Array(bytes));
  // Where the next read would reach, it begins again near the start.
  const end = Math.max(0, benchStaysInside ? diskBytes - bytes + 1 : diskBytes);
  const turn = Math.max(1, benchStaysInside ? end - 1 : end);
  let at = from > BigInt(diskBytes) ? diskBytes : Number(from);
  for (let done = 0; done < count; done += together) {
    const requests: { at: number; into: Uint8Array }[] = [];
    for (const into of memory.slice(0, count - done)) {
      if (at + bytes > diskBytes) throw new Refusal(BENCH.failed(systemText('EIO')!));
      requests.push({ at, into });
      at += step;
      if (at >= end) at %= turn;
    }
    if (bytes > 0) await disk.readBatch(requests);
  }
}

function secondsOf({ now }: QemuImgIo): number {
  const { seconds, nanoseconds } = now();
  return seconds + nanoseconds / 1e9;
}
