import { AUDIT_RULES, findRule, type BlockSource } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { readBaseline, withoutKnown, type Baseline } from '../audit-baseline.js';
import { auditFile, judgeSource } from '../audit-file.js';
import { auditMany } from '../audit-many.js';
import { formatOf, tellAll, type TellingFlags } from '../audit-telling.js';
import { printJson, printLines, type Context } from '../context.js';
import { inOrder, inTurn, mapped } from '../in-order.js';
import { mend, type MendFlags } from '../mending/mend.js';
import { didYouMean } from '../policy/near-word.js';
import { chosenPolicy, secondsNow, type PolicyFlags } from '../policy/chosen-policy.js';
import { renderPolicy } from '../policy/render-policy.js';
import { ruleJson } from '../present/audit-json.js';
import { ruleLines } from '../present/audit-text.js';
import type { AuditResult } from '../present/audited.js';
import { errorJson, reportFailure } from '../report.js';
import { withStaged, type StagedImage } from '../staged/with-staged.js';

/** Flags of `audit`. */
export interface AuditFlags extends PolicyFlags, TellingFlags, MendFlags {
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
  const policy = await chosenPolicy(flags, context);
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
  const fresh = (result: AuditResult): AuditResult => withoutKnown(result, baseline);
  const task = {
    policy,
    forceShare: context.forceShare,
    now: secondsNow(context),
    backing: flags.backing === true,
  };
  if (flags.staged === true) {
    return withStaged(context, (images, signal) => {
      if (images.length === 0 && format === 'text' && !context.quiet) {
        printLines(context, ['No qcow2 image is staged.']);
      }
      const work = async (image: StagedImage): Promise<AuditResult> => {
        if ('error' in image) return image;
        return fresh(
          await auditFile({ ...task, path: image.path, file: image.file }, signal, context.io),
        );
      };
      return tellAll(inOrder(images, work), images.length, flags, context);
    });
  }
  const auditing = {
    audit: async (path: string) => fresh(await auditFile({ ...task, path }, undefined, context.io)),
    judge: async (source: BlockSource, path: string) =>
      withoutKnown(
        { path, report: await judgeSource(source, { ...task, path }, undefined, context.io) },
        baseline,
      ).report,
    tellsPeople: format === 'text',
  };
  const results =
    flags.fix === true
      ? inTurn(paths, (path) => mend(path, flags, auditing, context))
      : mapped(auditMany(paths, task, context.io), fresh);
  return tellAll(results, paths.length, flags, context);
}

/** `qsnap audit --explain RULE…` */
export function explain(words: readonly string[], context: Context): ExitCode {
  const rules = words.map((word) => findRule(word));
  const unknown = words.find((_, i) => rules[i] === undefined);
  if (unknown !== undefined) {
    const near = didYouMean(
      unknown,
      AUDIT_RULES.map(({ name }) => name),
    );
    const names = AUDIT_RULES.map(({ id, name }) => `${id} ${name}`).join(', ');
    const hint = near === '' ? `; there are ${names}` : near;
    context.io.stderr.write(`qsnap: no rule is called "${unknown}"${hint}\n`);
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
