import {
  AUDIT_RULES,
  auditImage,
  findRule,
  isQsnapError,
  profileOf,
  type AuditPolicy,
  type AuditReport,
  type Level,
  type ProfileName,
} from '../../../index.js';
import { printableText } from '../../../internal.js';
import { fileGate, nodeDecompressor, openFile } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress, type Progress } from '../../progress.js';
import { readBaseline, withoutKnown } from '../audit-baseline.js';
import { withChainRules } from '../audit-chain.js';
import { printJson, printLines, type Context } from '../context.js';
import { isLike } from '../patterns.js';
import { readPolicy } from '../policy/read-policy.js';
import { renderPolicy } from '../policy/render-policy.js';
import { reportPolicyError, warnOfPolicy } from '../policy/report-policy.js';
import { auditDocument } from '../present/audit-document.js';
import { auditJson, ruleJson, totalsJson } from '../present/audit-json.js';
import { auditLines, ruleLines, totalsLine } from '../present/audit-text.js';
import { isAudited, type AuditResult } from '../present/audited.js';
import { reportFailure } from '../report.js';
import { secretFinder } from '../secret-finder.js';

/** Flags of `audit`. */
export interface AuditFlags {
  readonly profile?: readonly ProfileName[];
  readonly policy?: string;
  readonly readableBy?: readonly string[];
  /** Follow the chain of backing files, and judge it. */
  readonly backing?: boolean;
  readonly failOn?: Level;
  readonly baseline?: string;
  readonly format?: AuditFormat;
  /** Of qsnap, for formats that name it. */
  readonly version: string;
}

/** What is printed: lines for people as the images are judged, or one document in the end. */
export type AuditFormat = 'text' | 'json' | 'sarif' | 'junit' | 'markdown' | 'github';

/** Images whose headers are read at once; what is printed keeps their order. */
const AT_ONCE = 8;

/** `qsnap audit IMAGE…` */
export async function audit(
  paths: readonly string[],
  flags: AuditFlags,
  context: Context,
): Promise<ExitCode> {
  const policy = await policyOf(flags, context);
  if (policy === undefined) return EXIT_CODES.notDone.code;
  const format = context.json ? 'json' : (flags.format ?? 'text');
  const baseline = flags.baseline === undefined ? undefined : readBaseline(flags.baseline);
  const progress = startProgress(context.io.stderr, !context.quiet);
  const results: AuditResult[] = [];
  try {
    for await (const found of inOrder(paths, (path) => auditOne(path, policy, flags, context))) {
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
  const policy = await policyOf(flags, context);
  if (policy === undefined) return EXIT_CODES.notDone.code;
  const names = [...(flags.profile ?? []), ...(flags.policy === undefined ? [] : [flags.policy])];
  context.io.stdout.write(renderPolicy(policy, printableText(names.join(', '))));
  return EXIT_CODES.done.code;
}

/**
 * The rules of all profiles, and over them those of the policy file: of a rule that several have, the last setting counts.
 *
 * @returns undefined where the file is no policy, which is told.
 */
async function policyOf(
  { profile = [], policy: file, readableBy, backing }: AuditFlags,
  context: Context,
): Promise<AuditPolicy | undefined> {
  let read: AuditPolicy = { rules: new Map(), exceptions: [] };
  try {
    if (file !== undefined) {
      const { policy, warnings } = await readPolicy(file, nowOf(context));
      warnOfPolicy(warnings, context);
      read = policy;
    }
  } catch (error) {
    reportPolicyError(error, context);
    return undefined;
  }
  const rules = new Map(profile.flatMap((name) => [...profileOf(name).rules]));
  for (const [id, setting] of read.rules) rules.set(id, setting);
  if (readableBy !== undefined) {
    rules.set(findRule('readable-by')!.id, { level: 'error', options: { readers: readableBy } });
  }
  return { rules: backing === true ? withChainRules(rules) : rules, exceptions: read.exceptions };
}

const nowOf = ({ io }: Context): number => Math.floor(io.now().getTime() / 1000);

async function auditOne(
  path: string,
  policy: AuditPolicy,
  { backing }: AuditFlags,
  context: Context,
): Promise<AuditResult> {
  try {
    const { forceShare } = context;
    const source = await openFile(path, { forceShare });
    const decompressor = nodeDecompressor();
    const gate = backing === true ? fileGate({ forceShare }) : undefined;
    try {
      const now = nowOf(context);
      const findSecrets = secretFinder(policy);
      const surroundings = { now, path, matches: isLike, decompressor, findSecrets, gate };
      return { path, report: await auditImage(source, policy, surroundings) };
    } finally {
      await source.close();
    }
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { path, error };
  }
}

/** Results in the order of the paths, though several are worked on at once. */
async function* inOrder<T>(
  paths: readonly string[],
  work: (path: string) => Promise<T>,
): AsyncGenerator<T> {
  const running: Promise<T>[] = [];
  const start = (path: string): void => {
    const one = work(path);
    // Its error is taken in its turn.
    one.catch(() => undefined);
    running.push(one);
  };
  for (const path of paths) {
    if (running.length === AT_ONCE) yield await running.shift()!;
    start(path);
  }
  for (const one of running) yield await one;
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
