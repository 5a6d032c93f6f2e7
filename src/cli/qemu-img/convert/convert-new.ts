/** The new image that `convert` makes. */
import {
  isQsnapError,
  newQcow2Writer,
  type BlockDevice,
  type CreateImageOptions,
  type ImageWriter,
  type NewEncryption,
} from '../../../index.js';
import { checkCreateOptions } from '../../../internal.js';
import { fileIdentity, type ReplaceableFile } from '../../../node/index.js';
import { isCacheMode } from '../grammar/cache-mode.js';
import { addBitmaps, copiedBitmaps } from './convert-bitmaps.js';
import { knownFormat, type UseTarget } from './convert-target.js';
import type { ConvertRequest } from './convert-arguments.js';
import { qcow2Reason } from '../create/create.js';
import { pathOf, withNewFile } from '../create/new-file.js';
import { withDataFile, type RefuseFile } from '../create/data-file.js';
import { refuseInputs, type ConvertInput } from './convert-input.js';
import type { QemuImgIo } from '../disks/io.js';
import { CONVERT, CONVERT_REFUSED } from '../messages/convert.js';
import { NEW_IMAGE } from '../messages/create.js';
import { BACKING_PREFIX } from '../messages/source.js';
import { couldNotOpen } from '../messages.js';
import { encryptionOf, newEncryption, saysOfEncryption } from '../create/encryption.js';
import { ignoredHints, qcow2Options } from '../create/new-image.js';
import { newRawDiskWriter } from '../create/new-raw.js';
import { parseNewImageOptions, type GivenOptions, isOn } from '../create/new-image-options.js';
import { Refusal } from '../refusal.js';
import { withSourceDisk } from '../disks/source-disk.js';
import { fullBackingName } from '../disks/target.js';
import { readSecrets } from '../disks/secrets.js';
import type { Behaviour } from '../version/behaviour.js';

const plain = (reason: string): Refusal => new Refusal(reason);

/** Makes the output file and hands its writer over; what comes to nothing leaves no image. */
export async function withNewTarget(
  request: ConvertRequest,
  input: ConvertInput,
  io: QemuImgIo,
  use: UseTarget,
): Promise<void> {
  const output = request.output!;
  const format = knownFormat(request.outputFormat!);
  const at = pathOf(output, plain);
  const given = givenOptions(request, format, input.diskBytes);
  refuseContradictions(request, format, given, input);
  const copied = copiedBitmaps(request, input, io);
  const fail = (reason: string): Refusal => plain(CONVERT.failed(output, format, reason));
  const options = format === 'qcow2' ? checkedOptions(given, io.behaviour, fail) : undefined;
  const preallocation = format === 'raw' ? rawPreallocation(given, fail) : 'off';
  const keepsData = isOn(given.get('keep_data_file'));
  await refuseInputs(at.shown, await fileIdentity(at.path), input, fail);
  const { cache, compressed } = request;
  if (cache !== undefined && !isCacheMode(cache)) throw plain(CONVERT.cache(cache));
  if (compressed && format === 'raw') throw plain(CONVERT.compressionOfRaw);
  const backingBytes = await backingBytesOf(request, given, at.path, io);
  if (copied !== undefined && options?.version !== 3) throw plain(CONVERT.noBitmapsIn(format));
  const encryption = await encryptionFor(request, given, io, fail);
  for (const hint of ignoredHints(given)) io.warn(NEW_IMAGE.hintIgnored(hint));
  // Its name may lead to another file by the time it is opened.
  const refuse = async (file: ReplaceableFile): Promise<void> =>
    refuseInputs(at.shown, await file.identity(), input, fail);
  const everything = preallocation !== 'off' || keepsData;
  const compressionType = options?.compressionType ?? 'zlib';
  const write = async (
    file: ReplaceableFile,
    newWriter: () => Promise<ImageWriter>,
  ): Promise<void> => {
    try {
      await use({ writer: await newWriter(), compressionType, backingBytes, everything });
      await addBitmaps(file, copied, io);
    } catch (error) {
      // Half a disk must not be taken for a whole one.
      if (file.growable) await file.truncate(0).catch(() => undefined);
      throw error;
    }
  };
  if (options === undefined) {
    const writeRaw = (file: ReplaceableFile): Promise<void> =>
      write(file, () => newRawDiskWriter(file, input.diskBytes));
    return withNewFile(at, fail, io, writeRaw, refuse);
  }
  const refuseData: RefuseFile = async (shown, file) =>
    refuseInputs(shown, await file.identity(), input, fail);
  const writeQcow2 = (data: BlockDevice | undefined): Promise<void> =>
    withNewFile(
      at,
      fail,
      io,
      (file) => write(file, () => newQcow2Writer(file, { ...options, encryption }, data)),
      refuse,
    );
  await withDataFile({ at, options, keepsData }, fail, io, writeQcow2, refuseData);
}

function givenOptions(
  request: ConvertRequest,
  format: 'qcow2' | 'raw',
  diskBytes: number,
): GivenOptions {
  const { options, backing, backingFormat, context } = request;
  const given = parseNewImageOptions(options ?? '', format, context, plain);
  // The disk is as long as what is copied.
  given.set('size', String(diskBytes));
  if (backing !== undefined) {
    if (format === 'raw') throw plain(CONVERT.backingOfRaw);
    given.set('backing_file', backing);
  }
  if (backingFormat !== undefined) {
    if (format === 'raw') throw plain(CONVERT.backingFormatOfRaw);
    given.set('backing_fmt', backingFormat);
  }
  return given;
}

/** In QEMU's order. */
function refuseContradictions(
  request: ConvertRequest,
  format: 'qcow2' | 'raw',
  given: GivenOptions,
  { sources }: ConvertInput,
): void {
  const hasBacking = given.has('backing_file');
  const isEncrypted = isOn(given.get('encryption')) || given.has('encrypt.format');
  const isPreallocated = (given.get('preallocation') ?? 'off') !== 'off';
  const { compressed, bitmaps } = request;
  const wrong: readonly (readonly [isWrong: boolean, text: string])[] = [
    [hasBacking && sources.length > 1, CONVERT.backingOfMany],
    [hasBacking && !given.has('backing_fmt'), CONVERT.backingFormatNeeded],
    [compressed && format === 'raw', CONVERT.compressionOfRaw],
    [compressed && isEncrypted, CONVERT.compressionAndEncryption],
    [compressed && isPreallocated, CONVERT.compressionAndPreallocation],
    [bitmaps && sources.length > 1, CONVERT.bitmapsOfOne],
    [compressed && given.has('data_file'), CONVERT_REFUSED.compressedData],
    [bitmaps && given.has('data_file'), CONVERT_REFUSED.bitmapsBeside],
  ];
  const found = wrong.find(([isWrong]) => isWrong);
  if (found !== undefined) throw plain(found[1]);
}

function checkedOptions(
  given: GivenOptions,
  behaviour: Behaviour,
  fail: (reason: string) => Refusal,
): CreateImageOptions {
  const options = qcow2Options(given, behaviour, fail);
  try {
    checkCreateOptions(options);
  } catch (error) {
    throw isQsnapError(error) ? fail(qcow2Reason(error, options)) : error;
  }
  return options;
}

/** The keys of an encrypted image. */
async function encryptionFor(
  { secrets }: ConvertRequest,
  given: GivenOptions,
  { behaviour }: QemuImgIo,
  fail: (reason: string) => Refusal,
): Promise<NewEncryption | undefined> {
  if (!saysOfEncryption(given)) return undefined;
  const wanted = encryptionOf(given, behaviour, fail);
  return wanted && newEncryption(wanted, readSecrets(secrets), fail);
}

/** Room on the medium is taken by writing zeros, too. */
function rawPreallocation(given: GivenOptions, fail: (reason: string) => Refusal): string {
  const mode = given.get('preallocation') ?? 'off';
  if (!['off', 'metadata', 'falloc', 'full'].includes(mode))
    throw fail(NEW_IMAGE.invalidValue(mode));
  if (mode === 'metadata') throw fail(NEW_IMAGE.noPreallocation(mode));
  return mode;
}

/** Opens the backing file of the new image before anything is written, for its size. */
async function backingBytesOf(
  { output, forceShare, secrets }: ConvertRequest,
  given: GivenOptions,
  outputPath: string,
  io: QemuImgIo,
): Promise<number | undefined> {
  const name = given.get('backing_file');
  if (name === undefined) return undefined;
  const operand = fullBackingName(output!.replace(/^file:/, ''), name);
  const format = given.get('backing_fmt');
  const request = { operand, format, imageOpts: false, forceShare, secrets };
  try {
    return await withSourceDisk(request, io, async (backing) => {
      await refuseInputs(
        output!,
        await fileIdentity(outputPath),
        { sources: [backing], diskBytes: 0 },
        (reason) => couldNotOpen(output!, `${BACKING_PREFIX}${reason}`),
      );
      return backing.sizeBytes;
    });
  } catch (error) {
    if (!(error instanceof Refusal) || error.text.startsWith(`Could not open '${output!}'`)) {
      throw error;
    }
    const prefix = `Could not open '${operand}': `;
    const reason = error.text.startsWith(prefix) ? error.text.slice(prefix.length) : error.text;
    throw couldNotOpen(output!, `${BACKING_PREFIX}${reason}`);
  }
}
