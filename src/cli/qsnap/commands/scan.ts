import { scanImage } from '../../../index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { carve } from '../carve.js';
import { printJson, printLines, type Context } from '../context.js';
import { scanJson } from '../present/scan-json.js';
import { scanLines } from '../present/scan-text.js';
import type { Scanned } from '../present/scanned.js';
import { withSource, type OpenSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `scan`. */
export interface ScanFlags {
  readonly min?: number;
  readonly carve?: string;
  readonly clusterSize?: number;
}

/** What is less plausible is mostly chance. */
const MIN_PLAUSIBILITY = 21;

/** `qsnap scan IMAGE` */
export function scan(path: string, flags: ScanFlags, context: Context): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      const scanned = await withSource(path, context, (open) => scanSource(open, flags, signal));
      if (context.json) printJson(context, scanJson(scanned));
      else printLines(context, scanLines(scanned));
      return EXIT_CODES.done.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

async function scanSource(
  { path, source, progress }: OpenSource,
  { min = MIN_PLAUSIBILITY, carve: folder, clusterSize }: ScanFlags,
  signal: AbortSignal,
): Promise<Scanned> {
  progress.phase(`looking through ${path}`);
  const report = await scanImage(source, {
    clusterBytes: clusterSize,
    onProgress: progress.update,
    signal,
  });
  const candidates = report.candidates.filter(({ plausibility }) => plausibility >= min);
  const carved =
    folder === undefined ? undefined : await carve(source, report, candidates, folder, signal);
  progress.stop();
  return { path, report, candidates, min, carved };
}
