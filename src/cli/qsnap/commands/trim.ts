import { openImage, planTrim, trimImage, type TrimReport } from '../../../index.js';
import { refuseFixedPlaces } from '../../../internal.js';
import { openFile, openFileForEdit } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress, type Progress } from '../../progress.js';
import { printJson, printLines, type Context } from '../context.js';
import { VERIFIED, warnOfLock } from '../editing.js';
import type { EditFlags } from '../editing.js';
import { plannedTrimJson, trimmedJson } from '../present/trim-json.js';
import { plannedTrimLines, trimmedLines } from '../present/trim-text.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `trim`. */
export interface TrimFlags extends EditFlags {
  readonly relocate?: boolean;
}

/** `qsnap trim IMAGE` */
export async function trim(path: string, flags: TrimFlags, context: Context): Promise<ExitCode> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`planning the trim of ${path}`);
  try {
    if (flags.dryRun === true) return await plan(path, flags, progress, context);
    await carryOut(path, flags, progress, context);
    return EXIT_CODES.done.code;
  } catch (error) {
    progress.stop();
    reportFailure(error, path, 'edit', context);
    if (context.json) printJson(context, { error: errorJson(error, 'edit') });
    return EXIT_CODES.notDone.code;
  } finally {
    progress.stop();
  }
}

/** A trim that could not even open the image is foretold as such. */
async function plan(
  path: string,
  flags: TrimFlags,
  progress: Progress,
  context: Context,
): Promise<ExitCode> {
  const source = await openFile(path, { forceShare: context.forceShare });
  try {
    const image = await openImage(source);
    if (flags.relocate === true) refuseFixedPlaces(image);
    const planned = await planTrim(image);
    const refusal = await source.refusalToWrite();
    progress.stop();
    if (context.json) printJson(context, plannedTrimJson(path, planned, refusal));
    else printLines(context, plannedTrimLines(path, planned));
    if (refusal !== undefined) reportFailure(refusal, path, 'read', context);
    return refusal === undefined ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
  } finally {
    await source.close();
  }
}

async function carryOut(
  path: string,
  flags: TrimFlags,
  progress: Progress,
  context: Context,
): Promise<void> {
  const device = await openFileForEdit(path);
  try {
    warnOfLock(path, device.lock.guarantee, context);
    const report = await context.io.interruptible((signal) => {
      let phase = '';
      return trimImage(device, {
        relocate: flags.relocate,
        verify: flags.verify,
        signal,
        onProgress: (now, done, total) => {
          const text = now === 'trimming' ? `giving back from ${path}` : `moving in ${path}`;
          if (text !== phase) progress.phase(text);
          phase = text;
          progress.update(done, total);
        },
      });
    });
    progress.stop();
    tell(path, flags, report, context);
  } finally {
    await device.close();
  }
}

function tell(path: string, flags: TrimFlags, report: TrimReport, context: Context): void {
  const verified = flags.verify === true;
  if (context.json) printJson(context, trimmedJson(path, report, verified));
  else if (!context.quiet) {
    const lines = trimmedLines(path, report, flags.relocate === true);
    printLines(context, [...lines, ...(verified ? [VERIFIED] : [])]);
  }
}
