import {
  copyDisk,
  imageWithCandidate,
  openGuestDisk,
  planRecovery,
  QsnapError,
  scanImage,
  withoutReused,
  writeRescued,
  type ByteRange,
  type Candidate,
  type RebuiltPart,
  type RecoveredRange,
  type ScanReport,
} from '../../../index.js';
import { LossList, refuseUnsound } from '../../../internal.js';
import { createOutputFile, type InputFile } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../context.js';
import type { ExportFormat } from '../export-format.js';
import { openTarget } from '../export-target.js';
import { filesOf, guestOptions, refuseWithoutBacking, type GuestFlags } from '../guest-options.js';
import { newLinesFile } from '../lines-file.js';
import { namedFiles } from '../named-files.js';
import { recoverJson } from '../present/recover-json.js';
import { recoverLines } from '../present/recover-text.js';
import { judged, type JudgedRanges } from '../judged-ranges.js';
import type { Recovered } from '../present/recovered.js';
import { withSource, type OpenSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `recover`. */
export interface RecoverFlags extends GuestFlags {
  readonly candidate?: number;
  readonly output?: string;
  readonly into?: string;
  readonly map?: string;
  readonly format?: ExportFormat;
  readonly rebuild?: readonly RebuiltPart[];
  readonly clusterSize?: number;
  readonly force?: boolean;
}

/** `qsnap recover IMAGE --candidate N -o FILE` */
export async function recover(
  path: string,
  flags: RecoverFlags,
  context: Context,
): Promise<ExitCode> {
  if (flags.rebuild !== undefined) {
    const { rescue } = await import('./rescue.js');
    const { output, rebuild, force, clusterSize } = flags;
    const given = clusterSize === undefined ? {} : { clusterSize };
    const wanted = { output: output!, rebuild, force: force === true, ...given };
    return rescue(path, wanted, context);
  }
  return context.io.interruptible(async (signal) => {
    try {
      const done = await withSource(path, context, (open) =>
        recoverFrom(open, flags, signal, context),
      );
      if (context.json) printJson(context, recoverJson(done));
      else if (!context.quiet && flags.output !== '-') printLines(context, recoverLines(done));
      return isWhole(done) ? EXIT_CODES.done.code : EXIT_CODES.corrupt.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

/** Whether all of the disk is what it held. */
function isWhole({ bytes, unreadableBytes }: Recovered): boolean {
  return bytes.unknown + bytes.reused + unreadableBytes === 0;
}

async function recoverFrom(
  open: OpenSource,
  flags: RecoverFlags,
  signal: AbortSignal,
  context: Context,
): Promise<Recovered> {
  const { path, source, progress } = open;
  progress.phase(`looking through ${path}`);
  const report = await scanImage(source, { onProgress: progress.update, signal });
  const candidate = candidateOf(report, flags.candidate!);
  const { image } = imageWithCandidate(report.basis, candidate);
  const inputs = [source, ...namedFiles(image, path)];
  const map =
    flags.map === undefined
      ? undefined
      : await newLinesFile(flags.map, { replace: flags.force === true, inputs });
  try {
    const ranges = await judged(report, candidate, flags.into !== undefined, map);
    const write = flags.into === undefined ? writeDisk : writeCopy;
    const written = await write({
      open,
      report,
      candidate,
      ranges,
      inputs,
      flags,
      signal,
      context,
    });
    await map?.commit();
    progress.stop();
    return {
      ...{ path, candidate, bytes: ranges.bytes, map: flags.map, ...written },
      output: flags.into ?? flags.output!,
      isCopy: flags.into !== undefined,
    };
  } finally {
    await map?.discard();
  }
}

function candidateOf({ candidates }: ScanReport, number: number): Candidate {
  const found = candidates.find((one) => one.number === number);
  if (found !== undefined) return found;
  throw new QsnapError('CANDIDATE_INVALID', `there is no candidate ${number}`, {
    expected: candidates.length === 0 ? 'none was found' : `1 to ${candidates.length}`,
    hint: '`qsnap scan` lists them; their numbers change when the image does',
  });
}

interface Job {
  readonly open: OpenSource;
  readonly report: ScanReport;
  readonly candidate: Candidate;
  readonly ranges: JudgedRanges;
  /** Files that no output may replace: what is read, and what the image names. */
  readonly inputs: readonly InputFile[];
  readonly flags: RecoverFlags;
  readonly signal: AbortSignal;
  readonly context: Context;
}

type Written = Pick<Recovered, 'diskSizeBytes' | 'fileSizeBytes' | 'unreadableBytes'>;

/** Writes the disk of the candidate to a file of its own. */
async function writeDisk(job: Job): Promise<Written> {
  const { open, report, candidate, ranges, inputs, flags, signal, context } = job;
  const { image, snapshot } = imageWithCandidate(report.basis, candidate);
  refuseWithoutBacking(image, flags);
  const losses = new LossList();
  const disk = await openGuestDisk(image, {
    ...guestOptions(flags, context),
    ...{ snapshot, unreadableExtents: true },
    onLost: (loss) => {
      losses.add(loss);
    },
  });
  try {
    const mode = await open.source.permissions?.();
    const options = { output: flags.output!, format: flags.format!, force: flags.force === true };
    const made = { inputs: [...inputs, ...filesOf(disk)], ...(mode !== undefined && { mode }) };
    const target = await openTarget(disk, options, made, context);
    try {
      open.progress.phase(`writing ${flags.output!}`);
      const reused = ranges.reused.map(asRange);
      const recovered = withoutReused(disk, reused);
      const onProgress = open.progress.update;
      await copyDisk(recovered, target.writer, { onProgress, signal });
      await target.writer.finish();
      const fileSizeBytes = await target.fileSizeBytes();
      await target.commit();
      const unreadableBytes = bytesOutside(losses, reused);
      return { diskSizeBytes: snapshot.diskSizeBytes, fileSizeBytes, unreadableBytes };
    } finally {
      await target.discard();
    }
  } finally {
    await disk.close();
  }
}

function asRange({ start, length }: RecoveredRange): ByteRange {
  return { at: start, length };
}

/** Bytes that were lost and are not known to be overwritten. Both lists ascend. */
function bytesOutside(losses: LossList, reused: readonly ByteRange[]): number {
  let next = 0;
  return losses.sorted().reduce((sum, { start, length }) => {
    while (next < reused.length && reused[next]!.at + reused[next]!.length <= start) next += 1;
    const isReused = next < reused.length && reused[next]!.at <= start;
    return isReused ? sum : sum + length;
  }, 0);
}

/** Writes a copy of the image with the candidate as a snapshot. */
async function writeCopy(job: Job): Promise<Written> {
  const { open, candidate, ranges, inputs, flags, signal } = job;
  const { source, progress } = open;
  const onProgress = progress.update;
  const { plan, disks, recovered } = await planRecovery(source, candidate, ranges.reused, {
    ...{ onProgress, signal },
  });
  const mode = await source.permissions?.();
  const file = await createOutputFile(flags.into!, {
    ...{ replace: flags.force === true, inputs },
    ...(mode !== undefined && { mode }),
  });
  try {
    progress.phase(`writing ${flags.into!}`);
    const { fileSizeBytes } = await writeRescued(plan, disks, file.device, { onProgress, signal });
    await refuseUnsound(file.device, { corruptions: 0, checkErrors: 0, leaks: 0 });
    await file.commit();
    return { diskSizeBytes: recovered.diskSizeBytes, fileSizeBytes, unreadableBytes: 0 };
  } finally {
    await file.discard();
  }
}
