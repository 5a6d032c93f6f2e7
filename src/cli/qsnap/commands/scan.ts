import { scanImage } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import { carve } from '../carve.js';
import type { Context } from '../context.js';
import { scanJson } from '../present/scan-json.js';
import { scanLines } from '../present/scan-text.js';
import { isCutOff } from '../present/scanned.js';
import { tellOfImage, withSource, type OpenSource, type Told } from '../reading.js';

/** Flags of `scan`. */
export interface ScanFlags {
  readonly min?: number;
  readonly carve?: string;
  readonly clusterSize?: number;
}

/** What is less plausible is mostly chance. */
const MIN_PLAUSIBILITY = 21;

/** `qsnap scan IMAGE` */
export async function scan(path: string, flags: ScanFlags, context: Context): Promise<ExitCode> {
  return tellOfImage(path, context, () =>
    context.io.interruptible((signal) =>
      withSource(path, context, (open) => scanSource(open, flags, signal)),
    ),
  );
}

async function scanSource(
  { path, source, progress }: OpenSource,
  { min = MIN_PLAUSIBILITY, carve: folder, clusterSize }: ScanFlags,
  signal: AbortSignal,
): Promise<Told> {
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
  const scanned = { path, report, candidates, min, carved };
  return { json: scanJson(scanned), lines: scanLines(scanned), isWhole: !isCutOff(report) };
}
