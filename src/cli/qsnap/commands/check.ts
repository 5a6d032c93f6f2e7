import { checkImage, isQsnapError, type Finding } from '../../../index.js';
import { shownLocation } from '../../remote/location.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { jsonText } from '../../text.js';
import type { Context } from '../context.js';
import { findingJson, reportJson } from '../present/check-json.js';
import { JSON_FINDINGS_MAX, reportLines } from '../present/check-text.js';
import { withSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `check`. */
export interface CheckFlags {
  /** Undefined: as many as are printed, or `JSON_FINDINGS_MAX`. */
  readonly maxFindings?: number;
}

/**
 * The gravest first. Corruption that was found is certain, and nothing may hide it; then comes an image
 * that could not be checked, which may hold anything; a file that is no image is only not one.
 */
const GRAVEST: readonly ExitCode[] = [2, 1, 3, 63, 0];

/** Of the text, which prints few. */
const TEXT_FINDINGS_MAX = 1000;

/** `qsnap check IMAGE…` */
export async function check(
  paths: readonly string[],
  flags: CheckFlags,
  context: Context,
): Promise<ExitCode> {
  const printer = context.json ? new JsonPrinter(context) : undefined;
  const codes: ExitCode[] = [];
  for (const location of paths) {
    try {
      await withSource(location, context, async ({ path, source, progress }) => {
        progress.phase(`checking ${path}`);
        const report = await checkImage(source, {
          maxFindings: flags.maxFindings ?? (context.json ? JSON_FINDINGS_MAX : TEXT_FINDINGS_MAX),
          onProgress: (done) => {
            progress.update(done, 1);
          },
        });
        progress.stop();
        codes.push(report.exitCode);
        printer?.image({ filename: path, ...reportJson(report) }, report.findings);
        const lines = reportLines(path, report, flags.maxFindings);
        const isSilent = context.json || (context.quiet && report.exitCode === 0);
        if (!isSilent) context.io.stdout.write(`${lines.join('\n')}\n`);
      });
    } catch (error) {
      reportFailure(error, location, 'read', context);
      const filename = shownLocation(location);
      printer?.image({ filename, error: errorJson(error, 'read') }, undefined);
      codes.push(isForeign(error) ? EXIT_CODES.noCheck.code : EXIT_CODES.notDone.code);
    }
  }
  printer?.end();
  return GRAVEST.find((code) => codes.includes(code)) ?? EXIT_CODES.done.code;
}

/** Prints image by image and finding by finding: together they could be too long for a string. */
class JsonPrinter {
  readonly #stdout: Context['io']['stdout'];
  #separator = '\n';

  constructor({ io }: Context) {
    this.#stdout = io.stdout;
    this.#stdout.write('{\n  "images": [');
  }

  image(members: Record<string, unknown>, findings: readonly Finding[] | undefined): void {
    const text = jsonText(members).trimEnd().replaceAll('\n', '\n    ');
    this.#stdout.write(`${this.#separator}    `);
    this.#separator = ',\n';
    if (findings === undefined) {
      this.#stdout.write(text);
      return;
    }
    this.#stdout.write(`${text.replace(/\s*\}$/, '')},\n      "findings": [`);
    let separator = '\n';
    for (let first = 0; first < findings.length; first += FINDINGS_AT_ONCE) {
      const lines = findings.slice(first, first + FINDINGS_AT_ONCE).map((finding) => {
        return `        ${jsonText(findingJson(finding), 0).trimEnd()}`;
      });
      this.#stdout.write(separator + lines.join(',\n'));
      separator = ',\n';
    }
    this.#stdout.write(`${findings.length === 0 ? '' : '\n      '}]\n    }`);
  }

  end(): void {
    this.#stdout.write('\n  ]\n}\n');
  }
}

const FINDINGS_AT_ONCE = 1000;

/** What qemu-img ends with when it knows no check for a format. */
function isForeign(error: unknown): boolean {
  return isQsnapError(error) && (error.code === 'NOT_QCOW2' || error.code === 'QCOW_VERSION_1');
}
