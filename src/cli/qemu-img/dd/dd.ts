/** `dd`: a part of a disk, copied to a new image in blocks. */
import {
  copyDisk,
  isQsnapError,
  newQcow2Writer,
  type Extent,
  type GuestDisk,
  type ImageWriter,
  type ReadRequest,
} from '../../../index.js';
import { fileIdentity, type ReplaceableFile } from '../../../node/index.js';
import type { ArgvContext } from '../grammar/argv.js';
import { refuseInputs } from '../convert/convert-input.js';
import { pathOf, withNewFile } from '../create/new-file.js';
import { parseDdArguments, type DdRequest } from './dd-arguments.js';
import { diskWith } from '../disks/disk-with.js';
import { isOtherFormat } from '../disks/formats.js';
import type { QemuImgIo } from '../disks/io.js';
import { CONVERT_REFUSED } from '../messages/convert.js';
import { DD } from '../messages/dd.js';
import { sentenceOf } from '../messages.js';
import { USAGE } from '../messages/usage.js';
import { qcow2Options } from '../create/new-image.js';
import { newRawDiskWriter } from '../create/new-raw.js';
import { Refusal } from '../refusal.js';
import type { Run } from '../run-command.js';
import { withSourceDisk, type SourceDisk } from '../disks/source-disk.js';
import { cutAsRead } from '../map/status-runs.js';

const SECTOR_BYTES = 512;

/** Parses the arguments of `dd`. */
export function parseDd(argv: readonly string[], context: ArgvContext): Run | undefined {
  const request = parseDdArguments(argv, context);
  return request === undefined ? undefined : (io) => runDd(request, io);
}

async function runDd(request: DdRequest, io: QemuImgIo): Promise<number> {
  const { input: operand, imageOpts, forceShare, secrets, format } = request;
  if (imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const source = { operand, imageOpts, forceShare, secrets, format };
  await withSourceDisk(source, io, (opened) => copied(opened, request, io));
  return 0;
}

async function copied(source: SourceDisk, request: DdRequest, io: QemuImgIo): Promise<void> {
  const { output, outputFormat } = request;
  const format = knownFormat(outputFormat);
  const at = pathOf(output, (reason) => new Refusal(reason));
  const fail = (reason: string): Refusal => new Refusal(DD.notCreated(output, reason));
  const disk = cutAsRead(source.disk);
  const part = partOf(await disk.sizeBytes(), request);
  const input = { sources: [source], diskBytes: part.length };
  await refuseInputs(at.shown, await fileIdentity(at.path), input, fail);
  // Its name may lead to another file by the time it is opened.
  const refuse = async (file: ReplaceableFile): Promise<void> =>
    refuseInputs(at.shown, await file.identity(), input, fail);
  const write = async (file: ReplaceableFile): Promise<void> => {
    try {
      const window = windowOf(disk, part);
      const writer = await writerOf(file, format, await window.sizeBytes(), io, fail);
      if (part.isBehind) io.warn(DD.skipped(request.input));
      await copyDisk(window, writer, { everything: true });
      await writer.finish();
    } catch (error) {
      // Half a disk must not be taken for a whole one.
      if (file.growable) await file.truncate(0).catch(() => undefined);
      throw isQsnapError(error) ? new Refusal(sentenceOf(error)) : error;
    }
  };
  await withNewFile(at, fail, io, write, refuse);
}

/** Which part of the disk is copied. */
interface Part {
  readonly start: number;
  readonly length: number;
  /** What is to be skipped is more than there is. */
  readonly isBehind: boolean;
}

/** As QEMU has it, `count` is counted from the start of the disk, and what is skipped is part of it. */
function partOf(diskBytes: number, { blockBytes, count, skip }: DdRequest): Part {
  const whole = BigInt(diskBytes);
  const wanted = count === undefined ? whole : count * blockBytes;
  const end = wanted < whole ? wanted : whole;
  const start = skip * blockBytes;
  if (start > end) return { start: 0, length: 0, isBehind: true };
  return { start: Number(start), length: Number(end - start), isBehind: false };
}

/** The part as a disk of whole sectors, zeros behind its end. All of it is data. */
function windowOf(disk: GuestDisk, { start, length }: Part): GuestDisk {
  const readBatch = (requests: readonly ReadRequest[]): Promise<void> => {
    const inside: ReadRequest[] = [];
    for (const { at, into } of requests) {
      const held = Math.max(0, Math.min(into.length, length - at));
      into.fill(0, held);
      if (held > 0) inside.push({ at: start + at, into: into.subarray(0, held) });
    }
    return disk.readBatch(inside);
  };
  return diskWith(disk, {
    sizeBytes: () => Promise.resolve(Math.ceil(length / SECTOR_BYTES) * SECTOR_BYTES),
    readBatch,
    extents: async function* (from, to) {
      const data: Extent = { start: from, length: to - from, kind: 'data', depth: 0 };
      if (to > from) yield await Promise.resolve([data]);
    },
  });
}

function knownFormat(format: string): 'qcow2' | 'raw' {
  if (format === 'qcow2' || format === 'raw') return format;
  throw new Refusal(isOtherFormat(format) ? CONVERT_REFUSED.format(format) : DD.unknownFormat);
}

function writerOf(
  file: ReplaceableFile,
  format: 'qcow2' | 'raw',
  diskSizeBytes: number,
  { behaviour }: QemuImgIo,
  fail: (reason: string) => Refusal,
): Promise<ImageWriter> {
  if (format === 'raw') return newRawDiskWriter(file, diskSizeBytes);
  return newQcow2Writer(
    file,
    qcow2Options(new Map([['size', String(diskSizeBytes)]]), behaviour, fail),
  );
}
