/** `resize`: another size for the disk. */
import {
  editWithinRoom,
  executePlan,
  isQsnapError,
  planResize,
  openImage,
  type Image,
  type OpenOptions,
  type PlanWithBitmaps,
  type Preallocation,
  type ResizeOptions,
} from '../../index.js';
import { completeHeader } from '../../internal.js';
import { eachOption, type ArgvContext, type CommandGrammar } from './grammar/argv.js';
import { grammarOf } from './grammar/command-options.js';
import { backingSizeOf } from './create/backing-size.js';
import type { Run } from './run-command.js';
import { getopt } from './grammar/getopt.js';
import type { QemuImgIo } from './disks/io.js';
import { guessedRawWarning, RESIZE_REASONS, resizeFailed, SIZE_REASONS } from './messages.js';
import { USAGE } from './messages/usage.js';
import { firstBlockBytes } from './create/new-raw.js';
import { withEditableImage, type EditableFile } from './disks/opened.js';
import { Refusal, UsageError } from './refusal.js';
import { hasHexSuffix, parseSizeArgument } from './grammar/size-argument.js';
import { refuseUnwritable, warnAboutBitmaps, warnAboutLock } from './snapshot.js';
import { targetOf } from './disks/target.js';

interface ResizeRequest {
  readonly operand: string;
  readonly imageOpts: boolean;
  readonly format: string | undefined;
  /** As typed: a sign makes it relative to the size that there is. */
  readonly size: string;
  readonly shrink: boolean;
  readonly quiet: boolean;
  readonly preallocation: Preallocation;
}

const PREALLOCATIONS: readonly string[] = ['off', 'metadata', 'falloc', 'full'];
const SECTOR_BYTES = 512n;
/** Zeros that a raw disk is given at a time. */
const ZERO_BATCH_BYTES = 4 * 1024 * 1024;

/** Parses the arguments of `resize`. */
export function parseResize(argv: readonly string[], context: ArgvContext): Run | undefined {
  const { behaviour } = context;
  if (!behaviour.namedOptions && argv.length < 3) throw new UsageError(USAGE.noCommand);
  const grammar = grammarOf('resize', behaviour);
  const sizeAt = behaviour.namedOptions ? signedSizeAt(argv, grammar) : argv.length - 1;
  const sizes = sizeAt === undefined ? [] : [argv[sizeAt]!];
  const flags = new Set<string>();
  let format: string | undefined;
  let preallocation = 'off';
  const others = argv.filter((_, at) => at !== sizeAt);
  const operands = eachOption(others, grammar, context, ({ name, value }) => {
    if (name === 'format') format = value;
    else if (name === 'preallocation') preallocation = checkedPreallocation(value);
    else flags.add(name);
  });
  if (operands === undefined) return undefined;
  const [operand, size, extra] = [...operands, ...sizes];
  if (extra !== undefined && behaviour.namedOptions) throw new UsageError(USAGE.extraArguments);
  if (operand === undefined || size === undefined || extra !== undefined) {
    throw new UsageError(USAGE.fileAndSize);
  }
  const request: ResizeRequest = {
    operand,
    imageOpts: flags.has('image-opts'),
    format,
    size,
    shrink: flags.has('shrink'),
    quiet: flags.has('q'),
    preallocation: preallocation as Preallocation,
  };
  return (io) => runResize(request, io);
}

/** Where a size lies that looks as an option, since it has a sign: right behind the file. */
function signedSizeAt(argv: readonly string[], grammar: CommandGrammar): number | undefined {
  const found = getopt(argv, { ...grammar, stopAtOperand: true });
  for (;;) {
    const next = found.next();
    if (next.done !== true) continue;
    const behind = next.value[1];
    if (behind === undefined || !/^-\d/.test(behind)) return undefined;
    return argv.length - next.value.length + 1;
  }
}

function checkedPreallocation(value: string): string {
  if (PREALLOCATIONS.includes(value)) return value;
  throw new Refusal(SIZE_REASONS.unknownPreallocation(value));
}

async function runResize(request: ResizeRequest, io: QemuImgIo): Promise<number> {
  const change = changeOf(request.size, io);
  if (request.imageOpts && request.format !== undefined) {
    throw new Refusal(USAGE.imageOptsAndFormat);
  }
  const target = targetOf(request.operand, request.imageOpts, request.format);
  await withEditableImage(target, async (opened) => {
    warnAboutLock(opened.file, io);
    if (opened.kind === 'raw') {
      if (opened.guessed) io.printError(`${guessedRawWarning(target.shown)}\n`);
      await resizeRaw(opened.file, change, request, io);
    } else {
      refuseUnwritable(opened.image, target);
      warnAboutBitmaps(opened.image, io);
      const current = opened.image.header.diskSizeBytes;
      const size = newSizeOf(BigInt(current), change, request, io);
      const { preallocation } = request;
      const options = {
        diskSizeBytes: Number(size),
        shrink: true,
        preallocation,
        ...(size > current && (await knownBacking(opened.image, target.shown))),
      };
      await resizeImage(opened.file, options, io);
    }
  });
  if (!request.quiet) io.printLines(['Image resized.']);
  return 0;
}

/** From the size that a disk has to the one that was asked for. Numbers wrap as QEMU's do. */
type Change = (current: bigint) => bigint;

/** @throws Refusal for what is no size. */
function changeOf(typed: string, io: QemuImgIo): Change {
  const sign = /^[-+]/.exec(typed)?.[0];
  const text = sign === undefined ? typed : typed.slice(1);
  const size = parseSizeArgument(text, io.behaviour);
  if (size === 'invalid') throw new Refusal(SIZE_REASONS.invalid);
  if (size === 'out of range') throw new Refusal(SIZE_REASONS.outOfRange(text));
  if (hasHexSuffix(text)) io.warn(SIZE_REASONS.hexSuffix(text));
  const bytes = BigInt.asIntN(64, size);
  if (sign === undefined) return () => bytes;
  return (current) => BigInt.asIntN(64, sign === '+' ? current + bytes : current - bytes);
}

/** The new size, once it is sure that it may be had. */
function newSizeOf(current: bigint, change: Change, request: ResizeRequest, io: QemuImgIo): bigint {
  const size = change(current);
  if (size <= 0n) throw new Refusal(RESIZE_REASONS.notPositive);
  if (size <= current && request.preallocation !== 'off') {
    throw new Refusal(RESIZE_REASONS.onlyGrowing);
  }
  if (size < current && !request.shrink) {
    io.warn(RESIZE_REASONS.shrinkNeeded);
    throw new Refusal(RESIZE_REASONS.shrinkWarning);
  }
  return size;
}

async function knownBacking(
  image: Image,
  imagePath: string,
): Promise<Pick<ResizeOptions, 'backingSizeBytes'>> {
  const bytes = await backingSizeOf(image, imagePath);
  return bytes === undefined ? {} : { backingSizeBytes: bytes };
}

async function resizeImage(
  device: EditableFile,
  options: ResizeOptions,
  io: QemuImgIo,
): Promise<void> {
  try {
    const make = async (how: OpenOptions): Promise<{ plan: PlanWithBitmaps<EditableFile> }> => ({
      plan: await planResize(await openImage(device, how), options),
    });
    await editWithinRoom(device, make, async ({ plan }) => {
      await io.interruptible((signal) => executePlan(plan, { signal }));
      await completeHeader(device, plan);
    });
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    throw resizeFailed(error);
  }
}

/** A raw disk is its file. QEMU counts its size in whole sectors. */
async function resizeRaw(
  file: EditableFile,
  change: Change,
  request: ResizeRequest,
  io: QemuImgIo,
): Promise<void> {
  const bytes = await file.sizeBytes();
  const current = ((BigInt(bytes) + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
  const size = newSizeOf(current, change, request, io);
  if (request.preallocation === 'metadata') throw new Refusal(RESIZE_REASONS.noMetadata);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refusal(RESIZE_REASONS.fileTooLarge);
  try {
    await writeZeros(file, bytes, zerosTo(bytes, Number(size), request.preallocation));
    await file.truncate(Number(size));
    await file.flush();
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    throw resizeFailed(error);
  }
}

/** Up to where a raw disk that grows is written and not only made longer. */
function zerosTo(oldBytes: number, newBytes: number, preallocation: Preallocation): number {
  if (preallocation !== 'off') return newBytes;
  return oldBytes === 0 ? firstBlockBytes(newBytes) : oldBytes;
}

/** Takes room on the medium for what a raw disk grows by. A failure leaves the old size. */
async function writeZeros(file: EditableFile, from: number, end: number): Promise<void> {
  const zeros = new Uint8Array(ZERO_BATCH_BYTES);
  try {
    for (let at = from; at < end; at += ZERO_BATCH_BYTES) {
      const bytes = zeros.subarray(0, Math.min(ZERO_BATCH_BYTES, end - at));
      await file.writeBatch([{ at, bytes }]);
    }
  } catch (error) {
    await file.truncate(from).catch(() => undefined);
    throw error;
  }
}
