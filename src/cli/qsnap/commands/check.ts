import { checkImage, isQsnapError } from '../../../index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, type Context } from '../context.js';
import { reportJson } from '../present/check-json.js';
import { reportLines } from '../present/check-text.js';
import { withSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `check`. */
export interface CheckFlags {
  readonly maxFindings: number;
}

/** The gravest first: what could not be checked is worse than what was found. */
const GRAVEST: readonly ExitCode[] = [1, 63, 2, 3, 0];

/** `qsnap check IMAGE…` */
export async function check(
  paths: readonly string[],
  flags: CheckFlags,
  context: Context,
): Promise<ExitCode> {
  const images: Record<string, unknown>[] = [];
  const codes: ExitCode[] = [];
  for (const path of paths) {
    try {
      await withSource(path, context, async ({ source, progress }) => {
        progress.phase(`checking ${path}`);
        const report = await checkImage(source, {
          maxFindings: flags.maxFindings,
          onProgress: (done) => {
            progress.update(done, 1);
          },
        });
        progress.stop();
        codes.push(report.exitCode);
        images.push({ filename: path, ...reportJson(report) });
        const lines = reportLines(path, report);
        const isSilent = context.json || (context.quiet && report.exitCode === 0);
        if (!isSilent) context.io.stdout.write(`${lines.join('\n')}\n`);
      });
    } catch (error) {
      reportFailure(error, path, 'read', context);
      images.push({ filename: path, error: errorJson(error, 'read') });
      codes.push(isForeign(error) ? EXIT_CODES.noCheck.code : EXIT_CODES.notDone.code);
    }
  }
  if (context.json) printJson(context, { images });
  return GRAVEST.find((code) => codes.includes(code)) ?? EXIT_CODES.done.code;
}

/** What qemu-img ends with when it knows no check for a format. */
function isForeign(error: unknown): boolean {
  return isQsnapError(error) && (error.code === 'NOT_QCOW2' || error.code === 'QCOW_VERSION_1');
}
