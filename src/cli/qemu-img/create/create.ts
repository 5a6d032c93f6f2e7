/** `create`: a new empty image. */
import {
  createImage,
  isQsnapError,
  type CreateImageOptions,
  type NewEncryption,
  type QsnapError,
} from '../../../index.js';
import { checkCreateOptions } from '../../../internal.js';
import {
  fileIdentity,
  openFileForEdit,
  openFileToReplace,
  type ReplaceableFile,
} from '../../../node/index.js';
import { eachOption, type ArgvContext } from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import type { Secrets } from '../grammar/option-strings.js';
import { readSecrets } from '../disks/secrets.js';
import { byteString, textOf } from '../grammar/bytes.js';
import type { Run } from '../run-command.js';
import { isOtherFormat, isOtherProtocol } from '../disks/formats.js';
import type { QemuImgIo } from '../disks/io.js';
import { OPEN_REASONS, sentenceOf, systemText } from '../messages.js';
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
import { openingReason, type EditableFile } from '../disks/opened.js';
import { Refusal, UsageError } from '../refusal.js';
import { warnAboutLock } from '../snapshot.js';
import { fullBackingName, protocolOf } from '../disks/target.js';

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

/** A file to be made: as QEMU shows it, and its path. */
export interface NewPath {
  readonly shown: string;
  readonly path: string;
}

export function pathOf(name: string, fail: (reason: string) => Refusal): NewPath {
  const protocol = protocolOf(name);
  if (protocol !== undefined && protocol !== 'file') {
    const known = isOtherProtocol(protocol) && protocol !== 'json';
    const { unsupportedProtocol, unknownProtocol } = OPEN_REASONS;
    throw fail(known ? unsupportedProtocol(protocol) : unknownProtocol(protocol));
  }
  const shown = protocol === 'file' ? name.slice('file:'.length) : name;
  const path = textOf(shown);
  if (path === undefined) throw fail(OPEN_REASONS.pathNotUtf8);
  return { shown, path };
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
  const { dataFile, preallocation = 'off' } = options;
  if (dataFile === undefined) {
    await withNewFile(at, fail, io, (file) => wording(saying, () => createImage(file, options)));
    return;
  }
  const name = byteString(dataFile.name);
  const data = pathOf(name, fail);
  // QEMU makes it where the process is, and looks for it beside the image afterwards.
  const found = textOf(fullBackingName(at.shown, data.shown));
  const isOwn = data.path === at.path || found === at.path || (await areOneFile(data, at));
  if (isOwn) throw fail(NEW_IMAGE.ownDataFile);
  // Where tables point at all of its clusters it has them whole.
  const isMapped = preallocation !== 'off' || dataFile.raw;
  const unit = isMapped ? options.clusterBytes : 1;
  const bytes = Math.ceil(options.diskSizeBytes / unit) * unit;
  const makeImage = (): Promise<void> =>
    withNewFile(at, fail, io, (file) => wording(saying, () => createImage(file, options)));
  if (keepsData) {
    await withKeptFile(data, fail, async (kept) => {
      if ((await kept.sizeBytes()) < bytes) await kept.truncate(bytes);
      await makeImage();
    });
    return;
  }
  await withNewFile(data, fail, io, async (dataDevice) => {
    await wording(saying, () => fillRaw(dataDevice, bytes, preallocation));
    await makeImage();
  });
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

/** Opens a file whose content stays. */
async function withKeptFile(
  { shown, path }: NewPath,
  fail: (reason: string) => Refusal,
  use: (file: EditableFile) => Promise<void>,
): Promise<void> {
  let file: EditableFile;
  try {
    file = await openFileForEdit(path);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    throw fail(openingReason(error, { operand: shown, shown, path, format: undefined }, true));
  }
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

/** Whether both names lead to one file that is there. */
async function areOneFile(a: NewPath, b: NewPath): Promise<boolean> {
  const identity = await fileIdentity(a.path);
  return identity !== undefined && identity === (await fileIdentity(b.path));
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

/**
 * Opens a file for a new image and hands it over, empty. If it comes to nothing, a file that was
 * made for it goes away again.
 *
 * @param refuse looks at the open file before anything in it is lost.
 */
export async function withNewFile(
  { shown, path }: NewPath,
  fail: (reason: string) => Refusal,
  io: QemuImgIo,
  use: (file: ReplaceableFile) => Promise<void>,
  refuse?: (file: ReplaceableFile) => Promise<void>,
): Promise<void> {
  let file: ReplaceableFile;
  try {
    file = await openFileToReplace(path);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const text = systemText(error.details.systemCode ?? '');
    if (error.code === 'OPEN_FAILED' && text !== undefined) {
      throw fail(NEW_IMAGE.notCreated(shown, text));
    }
    const target = { operand: shown, shown, path, format: undefined };
    const reason = openingReason(error, target, true);
    const isDirectory = reason === `Could not open '${shown}': Is a directory`;
    throw fail(isDirectory ? NEW_IMAGE.notCreated(shown, 'Is a directory') : reason);
  }
  try {
    await refuse?.(file);
    warnAboutLock(file, io);
    if (file.growable) await file.truncate(0);
    await use(file);
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.close();
}
