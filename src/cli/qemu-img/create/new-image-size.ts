/** How large a new image is to be: as typed, or as its backing file says. */
import { isQsnapError } from '../../../index.js';
import { isOtherFormat, isOtherProtocol } from '../disks/formats.js';
import type { QemuImgIo } from '../disks/io.js';
import { OPEN_REASONS, sentenceOf } from '../messages.js';
import { NEW_IMAGE } from '../messages/create.js';
import type { GivenOptions } from './new-image-options.js';
import { withImage, type Opened, type ReadableFile } from '../disks/opened.js';
import { Refusal } from '../refusal.js';
import { fullBackingName, protocolOf, targetOf } from '../disks/target.js';

const SECTOR_BYTES = 512;

/**
 * Looks at the backing file of a new image, unless told not to.
 *
 * @returns the size of its disk; undefined where there is none, or nobody looked; `refused` once a
 *   refusal has been printed that has no line end.
 * @throws Refusal where it can't be a backing file.
 */
export async function newBacking(
  request: { readonly name: string; readonly unsafe: boolean },
  given: GivenOptions,
  fail: (reason: string) => Refusal,
  io: QemuImgIo,
): Promise<bigint | undefined | 'refused'> {
  const backing = given.get('backing_file');
  if (backing === undefined) return undefined;
  if (backing === '') throw fail(NEW_IMAGE.emptyBackingName);
  if (backing === request.name) throw fail(NEW_IMAGE.ownBacking);
  const format = given.get('backing_fmt');
  if (request.unsafe) {
    if (format === undefined) throw fail(NEW_IMAGE.noBackingFormat);
    return undefined;
  }
  const failToOpen = (reason: string): Refusal => fail(`${reason}\n${NEW_IMAGE.backingNotOpened}`);
  const full = fullBackingName(request.name, backing);
  refuseElsewhere(full, format, failToOpen);
  const found = await inspect(full, format, failToOpen);
  if (format !== undefined) return found.bytes;
  io.warn(
    `${request.name}: ${NEW_IMAGE.noBackingFormat}\n${NEW_IMAGE.detectedFormat(found.format)}`,
    io.behaviour.detectedFormatEndsLine ? '\n' : '',
  );
  return 'refused';
}

/** Only files in two formats are opened here. */
function refuseElsewhere(
  full: string,
  format: string | undefined,
  fail: (reason: string) => Refusal,
): void {
  const { unsupportedFormat, unknownDriver, unsupportedProtocol, unknownProtocol } = OPEN_REASONS;
  if (format !== undefined && format !== 'qcow2' && format !== 'raw') {
    throw fail(isOtherFormat(format) ? unsupportedFormat(format) : unknownDriver(format));
  }
  const protocol = protocolOf(full);
  if (protocol === undefined || protocol === 'file') return;
  throw fail(isOtherProtocol(protocol) ? unsupportedProtocol(protocol) : unknownProtocol(protocol));
}

interface FoundBacking {
  readonly bytes: bigint;
  readonly format: string;
}

async function inspect(
  full: string,
  format: string | undefined,
  fail: (reason: string) => Refusal,
): Promise<FoundBacking> {
  try {
    return await withImage(targetOf(full, false, format), false, foundBacking);
  } catch (error) {
    if (error instanceof Refusal) {
      const prefix = `Could not open '${full}': `;
      throw fail(error.text.startsWith(prefix) ? error.text.slice(prefix.length) : error.text);
    }
    throw isQsnapError(error) ? fail(sentenceOf(error)) : error;
  }
}

async function foundBacking(opened: Opened<ReadableFile>): Promise<FoundBacking> {
  if (opened.kind === 'qcow2') {
    const { diskSizeBytes } = opened.image.header;
    const bytes = BigInt(Math.floor(diskSizeBytes / SECTOR_BYTES) * SECTOR_BYTES);
    return { bytes, format: 'qcow2' };
  }
  const fileBytes = await opened.file.sizeBytes();
  return { bytes: BigInt(Math.ceil(fileBytes / SECTOR_BYTES) * SECTOR_BYTES), format: 'raw' };
}
