import type { Level } from '../../index.js';
import type { ExitCode } from '../exit-codes.js';
import { startProgress, type Progress } from '../progress.js';
import { jsonText } from '../text.js';
import { exitCodeOf } from './audit-exit-code.js';
import { withReports, type ReportFile } from './audit-reports.js';
import { printLines, type Context } from './context.js';
import { auditDocument, type DocumentFormat } from './present/audit-document.js';
import { auditJson, totalsJson } from './present/audit-json.js';
import { auditLines, totalsLine } from './present/audit-text.js';
import { isAudited, type AuditResult } from './present/audited.js';
import { reportFailure } from './report.js';

/** A document of all results. */
export type ReportFormat = 'json' | DocumentFormat;

/** What is printed: lines for people as the images are judged, or one document in the end. */
export type AuditFormat = 'text' | ReportFormat;

/** How an audit is told. */
export interface TellingFlags {
  readonly failOn?: Level;
  readonly format?: AuditFormat;
  /** Documents besides, each in a new file. */
  readonly report?: readonly ReportFile<ReportFormat>[];
  /** Of qsnap, for formats that name it. */
  readonly version: string;
}

/** The format that was asked for. */
export const formatOf = ({ format }: TellingFlags, { json }: Context): AuditFormat =>
  json ? 'json' : (format ?? 'text');

/** Prints each result as it comes, and what is to be said in the end. */
export function tellAll(
  all: AsyncIterable<AuditResult>,
  count: number,
  flags: TellingFlags,
  context: Context,
): Promise<ExitCode> {
  return withReports(flags.report ?? [], context, async () => {
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
    const document = (wanted: ReportFormat): string => documentOf(results, wanted, flags.version);
    if (format !== 'text') context.io.stdout.write(document(format));
    else if (results.length > 1 && !context.quiet) printLines(context, ['', totalsLine(results)]);
    return { code: exitCodeOf(results, flags.failOn ?? 'error'), document };
  });
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

function documentOf(
  results: readonly AuditResult[],
  format: ReportFormat,
  version: string,
): string {
  if (format !== 'json') return auditDocument(results, format, version);
  return jsonText({ images: results.map(auditJson), totals: totalsJson(results) });
}
