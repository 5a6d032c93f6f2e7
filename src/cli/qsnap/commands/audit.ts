import { AUDIT_RULES, findRule, type AuditReport, type Level } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress, type Progress } from '../../progress.js';
import { readBaseline, withoutKnown } from '../audit-baseline.js';
import { auditMany } from '../audit-many.js';
import { printJson, printLines, type Context } from '../context.js';
import { chosenPolicy, secondsNow, type PolicyFlags } from '../policy/chosen-policy.js';
import { renderPolicy } from '../policy/render-policy.js';
import { auditDocument } from '../present/audit-document.js';
import { auditJson, ruleJson, totalsJson } from '../present/audit-json.js';
import { auditLines, ruleLines, totalsLine } from '../present/audit-text.js';
import { isAudited, type AuditResult } from '../present/audited.js';
import { reportFailure } from '../report.js';

/** Flags of `audit`. */
export interface AuditFlags extends PolicyFlags {
  readonly failOn?: Level;
  readonly baseline?: string;
  readonly format?: AuditFormat;
  /** Of qsnap, for formats that name it. */
  readonly version: string;
}

/** What is printed: lines for people as the images are judged, or one document in the end. */
export type AuditFormat = 'text' | 'json' | 'sarif' | 'junit' | 'markdown' | 'github';

/** `qsnap audit IMAGE…` */
export async function audit(
  paths: readonly string[],
  flags: AuditFlags,
  context: Context,
): Promise<ExitCode> {
  const policy = await chosenPolicy(flags, context);
  if (policy === undefined) return EXIT_CODES.notDone.code;
  const format = context.json ? 'json' : (flags.format ?? 'text');
  const baseline = flags.baseline === undefined ? undefined : readBaseline(flags.baseline);
  const progress = startProgress(context.io.stderr, !context.quiet);
  const results: AuditResult[] = [];
  try {
    const task = {
      policy,
      forceShare: context.forceShare,
      now: secondsNow(context),
      backing: flags.backing === true,
    };
    for await (const found of auditMany(paths, task)) {
      const result = withoutKnown(found, baseline);
      results.push(result);
      progress.phase(`audited ${results.length} of ${paths.length} images`);
      printResult(result, format, progress, context);
    }
  } finally {
    progress.stop();
  }
  tell(results, format, flags.version, context);
  return exitCodeOf(results, flags.failOn ?? 'error');
}

/** `qsnap audit --explain RULE…` */
export function explain(words: readonly string[], context: Context): ExitCode {
  const rules = words.map((word) => findRule(word));
  const unknown = words.find((_, i) => rules[i] === undefined);
  if (unknown !== undefined) {
    const names = AUDIT_RULES.map(({ id, name }) => `${id} ${name}`).join(', ');
    context.io.stderr.write(`qsnap: no rule is called "${unknown}"; there are ${names}\n`);
    return EXIT_CODES.notDone.code;
  }
  const known = rules.filter((rule) => rule !== undefined);
  if (context.json) printJson(context, { rules: known.map(ruleJson) });
  else
    printLines(
      context,
      known.flatMap((rule, i) => [...(i > 0 ? [''] : []), ...ruleLines(rule)]),
    );
  return EXIT_CODES.done.code;
}

/** `qsnap audit --print-policy`: the rules that would be used, as a file to begin with. */
export async function printPolicy(flags: AuditFlags, context: Context): Promise<ExitCode> {
  const policy = await chosenPolicy(flags, context);
  if (policy === undefined) return EXIT_CODES.notDone.code;
  const names = [...(flags.profile ?? []), ...(flags.policy === undefined ? [] : [flags.policy])];
  context.io.stdout.write(renderPolicy(policy, printableText(names.join(', '))));
  return EXIT_CODES.done.code;
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

/** Corruption is certain, and nothing may hide it; then comes what could not be audited. */
function exitCodeOf(results: readonly AuditResult[], failOn: Level): ExitCode {
  const reports: AuditReport[] = [];
  let isWhole = true;
  for (const result of results) {
    if (isAudited(result)) reports.push(result.report);
    else isWhole = false;
  }
  if (reports.some(({ isCorrupt }) => isCorrupt)) return EXIT_CODES.corrupt.code;
  if (!isWhole) return EXIT_CODES.notDone.code;
  const breaks = ({ findings }: AuditReport): boolean =>
    findings.some(({ level }) => RANK[level] >= RANK[failOn]);
  return reports.some(breaks) ? EXIT_CODES.violations.code : EXIT_CODES.done.code;
}

const RANK: Readonly<Record<Level, number>> = { note: 1, warning: 2, error: 3 };
