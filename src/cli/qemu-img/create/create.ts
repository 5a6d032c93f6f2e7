/** `create`: a new empty image. */
import {
  createImage,
  isQsnapError,
  type CreateImageOptions,
  type NewEncryption,
  type QsnapError,
} from '../../../index.js';
import { checkCreateOptions } from '../../../internal.js';
import { eachOption, type ArgvContext } from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import type { Secrets } from '../grammar/option-strings.js';
import { readSecrets } from '../disks/secrets.js';
import { byteString } from '../grammar/bytes.js';
import type { Run } from '../run-command.js';
import { isOtherFormat } from '../disks/formats.js';
import type { QemuImgIo } from '../disks/io.js';
import { OPEN_REASONS, sentenceOf } from '../messages.js';
import { NEW_IMAGE, optionHelp } from '../messages/create.js';
import { encryptionOf, newEncryption, saysOfEncryption } from './encryption.js';
import { ignoredHints, qcow2Options } from './new-image.js';
import {
  asksForHelp,
  checkOptionList,
  formattingLine,
  isOn,
  parseNewImageOptions,
  type GivenOptions,
  type NewFormat,
} from './new-image-options.js';
import { newBacking } from './new-image-size.js';
import { byteCountOf } from '../grammar/size-argument.js';
import { fillRaw } from './new-raw.js';
import { Refusal, UsageError } from '../refusal.js';
import { withDataFile } from './data-file.js';
import { pathOf, withNewFile, type NewPath } from './new-file.js';

interface CreateRequest {
  readonly name: string;
  readonly format: string;
  readonly size: bigint | undefined;
  readonly options: readonly string[];
  readonly backingName: string | undefined;
  readonly backingFormat: string | undefined;
  /** Don't look at the backing file. */
  readonly unsafe: boolean;
  readonly quiet: boolean;
  readonly secrets: Secrets;
  readonly context: ArgvContext;
}

/** Parses the arguments of `create`. */
export function parseCreate(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const options: string[] = [];
  const secrets: Secrets = new Map();
  const operands = eachOption(
    argv,
    grammarOf('create', context.behaviour),
    context,
    ({ name, value }) => {
      // What 10.1 calls -B was -F before, and is still taken.
      if (name !== 'o') values.set(name === 'B' ? 'F' : name, value);
      else {
        checkOptionList(value);
        options.push(value);
      }
    },
    secrets,
  );
  if (operands === undefined) return undefined;
  const format = values.get('format') ?? 'raw';
  const isHelp = options.some((text) => asksForHelp(text));
  const [name, size, unexpected] = operands;
  if (name === undefined && !isHelp) throw new UsageError(NEW_IMAGE.noFileName);
  const parsedSize = size === undefined ? undefined : byteCountOf(size, 'image size', context);
  if (unexpected !== undefined) throw new UsageError(NEW_IMAGE.unexpected(unexpected));
  if (isHelp) return (io) => printOptionHelp(format, name, io);
  const request: CreateRequest = {
    name: name!,
    format,
    size: parsedSize,
    options,
    backingName: values.get('b'),
    backingFormat: values.get('F'),
    unsafe: values.has('u'),
    quiet: values.has('q'),
    secrets,
    context,
  };
  return (io) => runCreate(request, io);
}

function printOptionHelp(format: string, name: string | undefined, io: QemuImgIo): Promise<number> {
  io.printLines(
    optionHelp(
      knownFormat(format, (reason) => new Refusal(reason)),
      name !== undefined,
      io.behaviour,
    ),
  );
  return Promise.resolve(0);
}

function knownFormat(format: string, fail: (reason: string) => Refusal): NewFormat {
  if (format === 'qcow2' || format === 'raw') return format;
  throw fail(
    isOtherFormat(format)
      ? OPEN_REASONS.unsupportedFormat(format)
      : NEW_IMAGE.unknownFormat(format),
  );
}

const NO_SECRETS: ReadonlyMap<string, Uint8Array> = new Map();

async function runCreate(request: CreateRequest, io: QemuImgIo): Promise<number> {
  const { name, quiet } = request;
  const fail = (reason: string): Refusal => new Refusal(`${name}: ${reason}`);
  const format = knownFormat(request.format, fail);
  const path = pathOf(name, fail);
  const given = givenOptions(request, format, fail);
  const secrets = saysOfEncryption(given) ? readSecrets(request.secrets) : NO_SECRETS;
  const backing = await newBacking(request, given, fail, io);
  if (backing === 'refused') return 1;
  if (!given.has('size')) {
    if (backing === undefined) throw fail(NEW_IMAGE.sizeMissing);
    given.set('size', String(backing));
  }
  if (!quiet) io.printLines([formattingLine(name, format, given)]);
  for (const hint of ignoredHints(given)) io.warn(NEW_IMAGE.hintIgnored(hint));
  if (format === 'raw') await makeRaw(path, given, fail, io);
  else {
    const options = qcow2Options(given, io.behaviour, fail);
    const wanted = encryptionOf(given, io.behaviour, fail);
    const encryption = wanted && (() => newEncryption(wanted, secrets, fail));
    const keepsData = isOn(given.get('keep_data_file'));
    await makeQcow2(path, options, { encryption, keepsData }, fail, io);
  }
  return 0;
}

/** Everything that the command line says of the image, by the names of `-o`. */
function givenOptions(
  request: CreateRequest,
  format: NewFormat,
  fail: (reason: string) => Refusal,
): GivenOptions {
  const { size, backingName, backingFormat, context } = request;
  const warn = (text: string): void => {
    // QEMU reads the options twice.
    context.warn(text);
    context.warn(text);
  };
  const given = parseNewImageOptions(request.options.join(','), format, { ...context, warn }, fail);
  if (size !== undefined) {
    if (given.has('size')) throw fail(NEW_IMAGE.sizeTwice);
    given.set('size', String(size));
  }
  if (backingName !== undefined) {
    if (format === 'raw') throw fail(NEW_IMAGE.noBackingFor(format));
    given.set('backing_file', backingName);
  }
  if (backingFormat !== undefined) {
    if (format === 'raw') throw fail(NEW_IMAGE.noBackingFormatFor(format));
    given.set('backing_fmt', backingFormat);
  }
  return given;
}

/** What a new image takes besides its options. */
interface MakingQcow2 {
  /** Makes the keys of an encrypted one, which takes time. */
  readonly encryption: (() => Promise<NewEncryption>) | undefined;
  /** What lies in the external data file stays. */
  readonly keepsData: boolean;
}

async function makeQcow2(
  at: NewPath,
  asked: CreateImageOptions,
  { encryption, keepsData }: MakingQcow2,
  fail: (reason: string) => Refusal,
  io: QemuImgIo,
): Promise<void> {
  const saying = (error: QsnapError): Refusal => fail(qcow2Reason(error, asked));
  await wording(saying, () => {
    checkCreateOptions(asked);
    return Promise.resolve();
  });
  const options = { ...asked, encryption: await encryption?.() };
  await withDataFile({ at, options, keepsData }, fail, io, () =>
    withNewFile(at, fail, io, (file) => wording(saying, () => createImage(file, options))),
  );
}

async function wording(
  saying: (error: QsnapError) => Refusal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw isQsnapError(error) ? saying(error) : error;
  }
}

export function qcow2Reason(error: QsnapError, { backing }: CreateImageOptions): string {
  const { structure } = error.details;
  if (error.code === 'NEW_IMAGE_INVALID' && structure === 'disk size') {
    return NEW_IMAGE.tooLarge('qcow2');
  }
  if (error.code === 'NEW_IMAGE_INVALID' && structure === 'backing file name' && backing) {
    const name = byteString(backing.name);
    return NEW_IMAGE.backingNameTooLong(name, backing.format ?? '', backing.name.length);
  }
  return sentenceOf(error);
}

async function makeRaw(
  at: NewPath,
  given: GivenOptions,
  fail: (reason: string) => Refusal,
  io: QemuImgIo,
): Promise<void> {
  const preallocation = given.get('preallocation') ?? 'off';
  if (!['off', 'metadata', 'falloc', 'full'].includes(preallocation)) {
    throw fail(NEW_IMAGE.invalidValue(preallocation));
  }
  if (preallocation === 'metadata') throw fail(NEW_IMAGE.noPreallocation(preallocation));
  const size = BigInt(given.get('size')!);
  if (size < 0n || size > LARGEST_RAW) throw fail(NEW_IMAGE.tooLarge('raw'));
  const saying = (error: QsnapError): Refusal =>
    fail(error.details.systemCode === 'EFBIG' ? NEW_IMAGE.tooLarge('raw') : sentenceOf(error));
  await withNewFile(at, fail, io, (file) =>
    wording(saying, () => fillRaw(file, Math.ceil(Number(size) / 512) * 512, preallocation)),
  );
}

/** As large as a file can be that is counted in whole sectors. */
const LARGEST_RAW = BigInt(Number.MAX_SAFE_INTEGER - 511);
