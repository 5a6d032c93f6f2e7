/** `convert`: a disk, or several one behind the other, copied to another image. */
import {
  copyDisk,
  isQsnapError,
  type CopyOptions,
  type GuestDisk,
  type Image,
  type QsnapError,
  type Snapshot,
} from '../../../index.js';
import { nodeCompressor } from '../../../node/index.js';
import type { ArgvContext } from '../grammar/argv.js';
import { isCacheMode } from '../grammar/cache-mode.js';
import type { Run } from '../run-command.js';
import { concatenatedDisk } from '../disks/concatenated-disk.js';
import { parseConvertArguments, type ConvertRequest } from './convert-arguments.js';
import { withExistingTarget } from './convert-existing.js';
import { withNewTarget } from './convert-new.js';
import { piecesToCopy, type Piece } from './convert-pieces.js';
import { copyProgress } from './convert-progress.js';
import { knownFormat, type ConvertTarget } from './convert-target.js';
import type { QemuImgIo } from '../disks/io.js';
import { CONVERT } from '../messages/convert.js';
import { optionHelp } from '../messages/create.js';
import { sentenceOf, systemText } from '../messages.js';
import { LOAD_REASONS, loadFailed } from '../messages/snapshot.js';
import { USAGE } from '../messages/usage.js';
import { asksForHelp } from '../create/new-image-options.js';
import { overlaidDisk } from '../disks/overlaid-disk.js';
import { paddedDisk } from '../disks/padded-disk.js';
import { percentLines, type PercentLines } from '../percent-lines.js';
import { Refusal } from '../refusal.js';
import { salvagedDisk } from '../disks/salvaged-disk.js';
import { chosenSnapshot } from '../grammar/snapshot-choice.js';
import { withSourceDisk, type SourceDisk } from '../disks/source-disk.js';
import { cutAsRead } from '../map/status-runs.js';

/** Parses the arguments of `convert`. */
export function parseConvert(argv: readonly string[], context: ArgvContext): Run | undefined {
  const request = parseConvertArguments(argv, context);
  if (request === undefined) return undefined;
  if (request.options !== undefined && asksForHelp(request.options)) {
    return (io) => {
      const format = knownFormat(request.outputFormat!);
      io.printLines(optionHelp(format, request.output !== undefined, io.behaviour));
      return Promise.resolve(0);
    };
  }
  return (io) => runConvert(request, io);
}

const PROGRESS_STEP = 1;

async function runConvert(request: ConvertRequest, io: QemuImgIo): Promise<number> {
  const { sources, output, sourceCache } = request;
  if (sources.length === 0 || output === undefined) throw new Refusal(CONVERT.noFile);
  if (sourceCache !== undefined && !isCacheMode(sourceCache)) {
    throw new Refusal(CONVERT.sourceCache(sourceCache));
  }
  const progress = percentLines(io, request.progress, PROGRESS_STEP);
  try {
    await withSources(request, io, [], (opened) => converted(opened, request, progress, io));
    progress.at(100);
  } finally {
    progress.end();
  }
  return 0;
}

/** Opens all sources, one inside the other, so that each is closed whatever happens. */
async function withSources(
  request: ConvertRequest,
  io: QemuImgIo,
  opened: readonly SourceDisk[],
  use: (sources: readonly SourceDisk[]) => Promise<void>,
): Promise<void> {
  const operand = request.sources[opened.length];
  if (operand === undefined) return use(opened);
  const { imageOpts, forceShare, secrets, salvage, sourceFormat: format } = request;
  if (imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const select = opened.length === 0 ? (image: Image) => selected(image, request) : undefined;
  const source = { operand, imageOpts, forceShare, secrets, format, salvage, select };
  await withSourceDisk(source, io, (next) => withSources(request, io, [...opened, next], use));
}

function selected(image: Image, { snapshot, sources }: ConvertRequest): Snapshot | undefined {
  if (snapshot === undefined || ('word' in snapshot && sources.length > 1)) return undefined;
  const found = chosenSnapshot(image.snapshots, snapshot, loadFailed);
  if (found === undefined) throw loadFailed(LOAD_REASONS.notFound);
  return found;
}

async function converted(
  sources: readonly SourceDisk[],
  request: ConvertRequest,
  progress: PercentLines,
  io: QemuImgIo,
): Promise<void> {
  const { snapshot, targetExists } = request;
  if (snapshot !== undefined) {
    if ('word' in snapshot && sources.length > 1) throw new Refusal(CONVERT.snapshotOfOne);
    if (sources[0]!.image === undefined) throw loadFailed(LOAD_REASONS.raw);
  }
  const joined = await concatenatedDisk(sources.map((source) => cutAsRead(source.disk)));
  const lost = new Set<number>();
  const onLost = (at: number): void => {
    // What goes into an image that holds something is read twice.
    if (lost.size === lost.add(at).size) return;
    if (!request.quiet) io.warn(CONVERT.salvaged(at, systemText('EIO')!));
  };
  const disk = request.salvage ? salvagedDisk(joined, onLost) : joined;
  const diskBytes = await disk.sizeBytes();
  const withTarget = targetExists ? withExistingTarget : withNewTarget;
  await withTarget(request, { sources, diskBytes }, io, async (target) => {
    if ('overwrite' in target) {
      await inWords(() => target.overwrite(disk, progressOf(diskBytes, progress)));
      return;
    }
    const { backingBytes, writer } = target;
    const copied = backingBytes === undefined ? disk : overlaidDisk(disk, backingBytes);
    const options = copyOptions(request, target);
    const pieces = request.progress ? await piecesOf(sources, target, request) : [];
    const { onProgress, end } = copyProgress(pieces, progress);
    await inWords(async () => {
      await copyDisk(await upToUnit(copied, target), writer, { ...options, onProgress });
      await writer.finish();
    });
    end();
  });
}

const progressOf =
  (diskBytes: number, progress: PercentLines) =>
  (doneBytes: number): void => {
    progress.at((100 * doneBytes) / Math.max(1, diskBytes));
  };

async function inWords(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw isQsnapError(error) ? copyFailed(error) : error;
  }
}

function piecesOf(
  sources: readonly SourceDisk[],
  { backingBytes, writer }: ConvertTarget,
  { sparseBytes, compressed }: ConvertRequest,
): Promise<readonly Piece[]> {
  const compressedBytes = compressed ? writer.clusterBytes : undefined;
  const rule = { everything: sparseBytes === 0, compressedBytes, backingBytes };
  return piecesToCopy(
    sources.map(({ disk }) => disk),
    rule,
  );
}

/** QEMU, too, fills up the last cluster or subcluster, where the target goes on behind it. */
async function upToUnit(disk: GuestDisk, { writer, diskBytes }: ConvertTarget): Promise<GuestDisk> {
  if (diskBytes === undefined) return disk;
  const { unitBytes } = writer;
  const ownBytes = await disk.sizeBytes();
  return paddedDisk(disk, Math.min(diskBytes, Math.ceil(ownBytes / unitBytes) * unitBytes));
}

function copyOptions(
  { sparseBytes, compressed }: ConvertRequest,
  { backingBytes, everything, explicitZeros, compressionType }: ConvertTarget,
): CopyOptions {
  const hasBacking = backingBytes !== undefined;
  return {
    zeroRunBytes: sparseBytes,
    everything: everything || sparseBytes === 0,
    explicitZeros,
    ...(compressed ? { compress: { type: compressionType, compressor: nodeCompressor() } } : {}),
    ...(hasBacking ? { below: 1 } : {}),
  };
}

/** What a copy failed with. QEMU names the place where it was; that is not always known here. */
function copyFailed(error: QsnapError): Refusal {
  const { systemCode, at } = error.details;
  const reason = systemText(systemCode ?? '');
  const place = at ?? 0;
  if (error.code === 'NO_SPACE') {
    return new Refusal(CONVERT.writeFailed(place, systemText('ENOSPC')!));
  }
  if (error.code === 'WRITE_FAILED' && reason !== undefined) {
    return new Refusal(CONVERT.writeFailed(place, reason));
  }
  return new Refusal(sentenceOf(error));
}
