import {
  copyDisk,
  isQsnapError,
  openGuestDisk,
  type CopyReport,
  type GuestDisk,
  type GuestDiskOptions,
  type OpenImage,
  type Loss,
} from '../../../index.js';
import { hashContent, LossList, printableText } from '../../../internal.js';
import { newSha256, nodeCompressor, type InputFile } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText, hexText } from '../../text.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import type { ExportFormat } from '../export-format.js';
import { openTarget, type ExportTarget } from '../export-target.js';
import { filesOf, guestOptions, refuseWithoutBacking, type GuestFlags } from '../guest-options.js';
import { newLinesFile } from '../lines-file.js';
import { checksumLine, exportedLine } from '../present/export-text.js';
import { manifestJson, type ExportFacts } from '../present/manifest.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { isAllGood, salvagedLines, surveySalvaged } from '../salvage.js';
import { selectSnapshot } from '../selection.js';
import { namedFiles } from '../named-files.js';
import { besideFinished, newTextFile, type NewTextFile } from '../text-file.js';

/** Flags of `export`. */
export interface ExportFlags extends GuestFlags {
  readonly output: string;
  readonly format: ExportFormat;
  readonly compress?: 'zlib' | 'zstd';
  readonly clusterSize?: number;
  readonly manifest?: string;
  readonly sha256?: boolean;
  readonly force?: boolean;
  /** Go on past what can't be read. */
  readonly salvage?: boolean;
  readonly salvageMap?: string;
}

/** `qsnap export IMAGE [SNAPSHOT] -o OUT` */
export function exportDisk(
  path: string,
  selector: string | undefined,
  flags: ExportFlags,
  context: Context,
): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      const isWhole = await withImage(path, context, (open) => {
        return exportFrom(open, selector, flags, signal, context);
      });
      return isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

/** @returns whether all of the disk could be read. */
async function exportFrom(
  open: OpenedImage,
  selector: string | undefined,
  flags: ExportFlags,
  signal: AbortSignal,
  context: Context,
): Promise<boolean> {
  const { image, progress } = open;
  const snapshot = selector === undefined ? undefined : selectSnapshot(image, selector);
  refuseWithoutBacking(image, flags);
  const losses = flags.salvage === true ? new LossList() : undefined;
  const options = { ...guestOptions(flags, context), snapshot };
  const disk = await openGuestDisk(image, { ...options, ...salvaging(losses) });
  const inputs = [...filesOf(disk), ...namedFiles(image, open.path)];
  const outputs: Discardable[] = [];
  try {
    const mode = await open.source.permissions?.();
    const manifest = await manifestFile(flags, inputs);
    if (manifest !== undefined) outputs.push(manifest);
    const target = await openTarget(
      disk,
      flags,
      { inputs, ...(mode !== undefined && { mode }) },
      context,
    );
    outputs.push(target);
    const mapOptions = { replace: flags.force === true, inputs };
    const map =
      flags.salvageMap === undefined ? undefined : await newLinesFile(flags.salvageMap, mapOptions);
    if (map !== undefined) outputs.push(map);
    progress.phase(`exporting ${open.path}`);
    const done = await copied(open, disk, target, flags, signal).catch(async (error: unknown) => {
      throw losses === undefined ? await withExtent(error, image, options) : error;
    });
    const salvaged = losses && (await surveySalvaged(disk, losses, image.fileSizeBytes, map));
    const fileSizeBytes = await target.fileSizeBytes();
    const facts = {
      path: open.path,
      image,
      snapshot,
      disk,
      target,
      fileSizeBytes,
      salvaged,
      ...done,
    };
    await target.commit();
    await besideFinished(target.isStream ? undefined : target.label, async () => {
      await map?.commit();
      await manifest?.write(manifestJson(facts, context.io.now()));
    });
    progress.stop();
    tell(facts, flags, context);
    if (salvaged === undefined || isAllGood(salvaged)) return true;
    for (const line of salvagedLines(salvaged)) {
      printWarning(context, `${printableText(open.path)}: ${line}`);
    }
    return false;
  } finally {
    progress.stop();
    for (const output of outputs) await output.discard();
    await disk.close();
  }
}

function salvaging(losses: LossList | undefined): GuestDiskOptions {
  if (losses === undefined) return {};
  const onLost = (loss: Loss): void => {
    losses.add(loss);
  };
  return { unreadableExtents: true, onLost };
}

/** The error of an export with how much of the disk can't be had in all. */
async function withExtent(
  error: unknown,
  image: OpenImage,
  options: GuestDiskOptions,
): Promise<unknown> {
  const isDamage = isQsnapError(error) && (error.kind === 'image' || error.code === 'READ_FAILED');
  if (!isDamage) return error;
  const disk = await openGuestDisk(image, { ...options, unreadableExtents: true });
  let [bytes, first] = [0, 0];
  try {
    for await (const extents of disk.extents(0, await disk.sizeBytes())) {
      for (const { kind, start, length } of extents) {
        if (kind !== 'unreadable') continue;
        if (bytes === 0) first = start;
        bytes += length;
      }
    }
  } finally {
    await disk.close();
  }
  const found = `${countText(bytes, 'byte')} of the disk, from ${hexText(first)} on, can't be read`;
  const salvage = '--salvage exports the rest, with zeros in their place';
  return error.with({ hint: bytes === 0 ? salvage : `${found}; ${salvage}` });
}

interface Discardable {
  discard(): Promise<void>;
}

async function manifestFile(
  flags: ExportFlags,
  inputs: readonly InputFile[],
): Promise<NewTextFile | undefined> {
  if (flags.manifest === undefined) return undefined;
  return newTextFile(flags.manifest, { replace: flags.force === true, inputs });
}

interface Copied {
  readonly report: CopyReport;
  readonly contentHash: string | undefined;
  readonly fileHash: string | undefined;
}

async function copied(
  { progress }: OpenedImage,
  disk: GuestDisk,
  target: ExportTarget,
  flags: ExportFlags,
  signal: AbortSignal,
): Promise<Copied> {
  const wantsHash = flags.sha256 === true || flags.manifest !== undefined;
  const isRaw = target.format === 'raw';
  // A raw disk is its content, so that one hash serves for both.
  const content = wantsHash && (isRaw || flags.manifest !== undefined) ? newSha256() : undefined;
  const report = await copyDisk(disk, target.writer, {
    ...(flags.compress !== undefined && {
      compress: { type: flags.compress, compressor: nodeCompressor() },
    }),
    ...(content !== undefined && { onContent: hashContent(content) }),
    onProgress: progress.update,
    signal,
  });
  await target.writer.finish();
  const contentHash = content?.digest();
  const fileHash = !wantsHash || isRaw ? contentHash : await target.fileHash();
  return { report, contentHash, fileHash };
}

function tell(facts: ExportFacts, flags: ExportFlags, context: Context): void {
  const { stdout, stderr } = context.io;
  const { target, fileHash } = facts;
  if (context.json) printJson(context, manifestJson(facts, context.io.now()));
  else if (flags.sha256 === true && fileHash !== undefined) {
    // Where stdout has the disk, the line goes beside it.
    (target.isStream ? stderr : stdout).write(`${checksumLine(fileHash, flags.output)}\n`);
  } else if (!context.quiet && !target.isStream) printLines(context, [exportedLine(facts)]);
}
