import type { Level } from '../../index.js';
import type { ExitCode } from '../exit-codes.js';
import { startProgress, type Progress } from '../progress.js';
import { exitCodeOf } from './audit-exit-code.js';
import { printJson, printLines, type Context } from './context.js';
import { auditDocument } from './present/audit-document.js';
import { auditJson, totalsJson } from './present/audit-json.js';
import { auditLines, totalsLine } from './present/audit-text.js';
import { isAudited, type AuditResult } from './present/audited.js';
import { reportFailure } from './report.js';

/** What is printed: lines for people as the images are judged, or one document in the end. */
export type AuditFormat = 'text' | 'json' | 'sarif' | 'junit' | 'markdown' | 'github';

/** How an audit is told. */
export interface TellingFlags {
  readonly failOn?: Level;
  readonly format?: AuditFormat;
  /** Of qsnap, for formats that name it. */
  readonly version: string;
}

/** The format that was asked for. */
export const formatOf = ({ format }: TellingFlags, { json }: Context): AuditFormat =>
  json ? 'json' : (format ?? 'text');

/** Prints each result as it comes, and what is to be said in the end. */
export async function tellAll(
  all: AsyncIterable<AuditResult>,
  count: number,
  flags: TellingFlags,
  context: Context,
): Promise<ExitCode> {
  const format = formatOf(flags, context);
  const progress = startProgress(context.io.stderr, !context.quiet);
  const results: AuditResult[] = [];
  try {
    for await (const result of all) {
      results.push(result);
      progress.phase(`audited ${results.length} of ${count} images`);
      printResult(result, format, progress, context);
    }
  } finally {
    progress.stop();
  }
  tell(results, format, flags.version, context);
  return exitCodeOf(results, flags.failOn ?? 'error');
}

function printResult(
  result: AuditResult,
  format: AuditFormat,
  progress: Progress,
  context: Context,
): void {
  progress.stop();
  if (!isAudited(result)) {
    reportFailure(result.error, result.path, 'read', context);
    return;
  }
  const isSilent = context.quiet && result.report.findings.length === 0;
  if (format === 'text' && !isSilent) printLines(context, auditLines(result, context.style));
}

/** The document, or for people a line of totals where there are several images. */
function tell(
  results: readonly AuditResult[],
  format: AuditFormat,
  version: string,
  context: Context,
): void {
  if (format === 'text') {
    if (results.length > 1 && !context.quiet) printLines(context, ['', totalsLine(results)]);
  } else if (format === 'json') {
    printJson(context, { images: results.map(auditJson), totals: totalsJson(results) });
  } else {
    context.io.stdout.write(auditDocument(results, format, version));
  }
}
