import {
  measureScrub,
  openImage,
  planScrub,
  scrubImage,
  type ScrubReport,
} from '../../../index.js';
import { openFile, openFileForEdit } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress, type Progress } from '../../progress.js';
import { printJson, printLines, type Context } from '../context.js';
import { warnOfLock } from '../editing.js';
import type { EditFlags } from '../editing.js';
import { plannedScrubJson, scrubbedJson } from '../present/scrub-json.js';
import { plannedScrubLines, scrubbedLines } from '../present/scrub-text.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `scrub`. */
export interface ScrubFlags extends EditFlags {
  readonly punch?: boolean;
}

/** `qsnap scrub IMAGE` */
export async function scrub(path: string, flags: ScrubFlags, context: Context): Promise<ExitCode> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`planning the scrub of ${path}`);
  try {
    if (flags.dryRun === true) return await plan(path, progress, context);
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

/** A scrub that could not even open the image is foretold as such. */
async function plan(path: string, progress: Progress, context: Context): Promise<ExitCode> {
  const source = await openFile(path, { forceShare: context.forceShare });
  try {
    const planned = await planScrub(await openImage(source));
    progress.phase(`reading ${path}`);
    const remaining = await measureScrub(planned, { onProgress: progress.update });
    const refusal = await source.refusalToWrite();
    progress.stop();
    if (context.json) printJson(context, plannedScrubJson(path, planned, remaining, refusal));
    else printLines(context, plannedScrubLines(path, planned, remaining));
    if (refusal !== undefined) reportFailure(refusal, path, 'read', context);
    return refusal === undefined ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
  } finally {
    await source.close();
  }
}

async function carryOut(
  path: string,
  flags: ScrubFlags,
  progress: Progress,
  context: Context,
): Promise<void> {
  const device = await openFileForEdit(path);
  try {
    warnOfLock(path, device.lock.guarantee, context);
    const report = await context.io.interruptible((signal) => {
      let phase = '';
      return scrubImage(device, {
        punch: flags.punch,
        verify: flags.verify,
        signal,
        onProgress: (now, done, total) => {
          if (now !== phase) progress.phase(`${now} ${path}`);
          phase = now;
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

function tell(path: string, flags: ScrubFlags, report: ScrubReport, context: Context): void {
  const verified = flags.verify === true;
  if (context.json) printJson(context, scrubbedJson(path, report, verified));
  else if (!context.quiet) printLines(context, scrubbedLines(path, report, verified));
}
