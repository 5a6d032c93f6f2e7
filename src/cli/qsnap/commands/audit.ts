import {
  AUDIT_RULES,
  auditImage,
  findRule,
  isQsnapError,
  profileOf,
  type AuditPolicy,
  type AuditReport,
  type BlockSource,
  type ProfileName,
  type Stoppable,
} from '../../../index.js';
import { printableText } from '../../../internal.js';
import { nodeDecompressor, openFile } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { readBaseline, withoutKnown, type Baseline } from '../audit-baseline.js';
import { formatOf, tellAll, type TellingFlags } from '../audit-telling.js';
import { printJson, printLines, type Context } from '../context.js';
import { inOrder, inTurn } from '../in-order.js';
import { mend, type MendFlags } from '../mending/mend.js';
import { isLike } from '../patterns.js';
import { readPolicy } from '../policy/read-policy.js';
import { renderPolicy } from '../policy/render-policy.js';
import { reportPolicyError, warnOfPolicy } from '../policy/report-policy.js';
import { ruleJson } from '../present/audit-json.js';
import { ruleLines } from '../present/audit-text.js';
import type { AuditResult } from '../present/audited.js';
import { errorJson, reportFailure } from '../report.js';
import { withStaged, type StagedImage } from '../staged/with-staged.js';

/** Flags of `audit`. */
export interface AuditFlags extends TellingFlags, MendFlags {
  readonly profile?: readonly ProfileName[];
  readonly policy?: string;
  readonly readableBy?: readonly string[];
  readonly baseline?: string;
  /** What git has staged is audited. */
  readonly staged?: boolean;
  /** What has one safe remedy is mended. */
  readonly fix?: boolean;
}

/** `qsnap audit IMAGE…` */
export async function audit(
  paths: readonly string[],
  flags: AuditFlags,
  context: Context,
): Promise<ExitCode> {
  const policy = await policyOf(flags, context);
  if (policy === undefined) return EXIT_CODES.notDone.code;
  const format = formatOf(flags, context);
  let baseline: Baseline | undefined;
  try {
    if (flags.baseline !== undefined) baseline = readBaseline(flags.baseline);
  } catch (error) {
    reportFailure(error, flags.baseline!, 'read', context);
    if (context.json) printJson(context, { error: errorJson(error, 'read') });
    return EXIT_CODES.notDone.code;
  }
  const auditFile = async (path: string, how: Reading = {}): Promise<AuditResult> =>
    withoutKnown(await auditOne(path, policy, context, how), baseline);
  if (flags.staged === true) {
    return withStaged(context, (images, signal) => {
      if (images.length === 0 && format === 'text' && !context.quiet) {
        printLines(context, ['No qcow2 image is staged.']);
      }
      const work = async (image: StagedImage): Promise<AuditResult> =>
        'error' in image ? image : auditFile(image.path, { file: image.file, signal });
      return tellAll(inOrder(images, work), images.length, flags, context);
    });
  }
  const auditing = {
    audit: auditFile,
    judge: async (source: BlockSource, path: string) =>
      withoutKnown({ path, report: await judge(source, path, policy, context) }, baseline).report,
    tellsPeople: format === 'text',
  };
  const results =
    flags.fix === true
      ? inTurn(paths, (path) => mend(path, flags, auditing, context))
      : inOrder(paths, (path) => auditFile(path));
  return tellAll(results, paths.length, flags, context);
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
  { profile = [], policy: file, readableBy }: AuditFlags,
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
  return { rules, exceptions: read.exceptions };
}

const nowOf = ({ io }: Context): number => Math.floor(io.now().getTime() / 1000);

/** How an image is read. */
interface Reading extends Stoppable {
  /** The file to read in place of the one that the path names. */
  readonly file?: string;
}

async function auditOne(
  path: string,
  policy: AuditPolicy,
  context: Context,
  { file = path, signal }: Reading,
): Promise<AuditResult> {
  try {
    const source = await openFile(file, { forceShare: context.forceShare });
    try {
      return { path, report: await judge(source, path, policy, context, signal) };
    } finally {
      await source.close();
    }
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { path, error };
  }
}

function judge(
  source: BlockSource,
  path: string,
  policy: AuditPolicy,
  context: Context,
  signal?: AbortSignal,
): Promise<AuditReport> {
  const now = nowOf(context);
  const decompressor = nodeDecompressor();
  return auditImage(source, policy, { now, path, matches: isLike, decompressor, signal });
}
