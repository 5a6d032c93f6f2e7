import {
  findRule,
  profileOf,
  type AuditPolicy,
  type Level,
  type ProfileName,
  type RuleSetting,
} from '../../../index.js';
import { withChainRules } from '../audit-chain.js';
import type { Context } from '../context.js';
import { readPolicy } from './read-policy.js';
import { reportPolicyError, warnOfPolicy } from './report-policy.js';

/** Flags that say by which rules images are judged. */
export interface PolicyFlags {
  readonly profile?: readonly ProfileName[];
  readonly policy?: string;
  readonly readableBy?: readonly string[];
  /** Follow the chain of backing files, and judge it. */
  readonly backing?: boolean;
}

/**
 * The rules of all profiles, of a rule that several have the gravest setting, so that one more profile never lets more
 * through; and over them those of the policy file, which count whatever they say.
 *
 * @returns undefined where the file is no policy, which is told.
 */
export async function chosenPolicy(
  { profile = [], policy: file, readableBy, backing }: PolicyFlags,
  context: Context,
): Promise<AuditPolicy | undefined> {
  let read: AuditPolicy = { rules: new Map(), exceptions: [] };
  try {
    if (file !== undefined) {
      const { policy, warnings } = await readPolicy(file, secondsNow(context));
      warnOfPolicy(warnings, context);
      read = policy;
    }
  } catch (error) {
    reportPolicyError(error, context);
    return undefined;
  }
  const rules = gravest(profile);
  for (const [id, setting] of read.rules) rules.set(id, setting);
  if (readableBy !== undefined) {
    rules.set(findRule('readable-by')!.id, { level: 'error', options: { readers: readableBy } });
  }
  return { rules: backing === true ? withChainRules(rules) : rules, exceptions: read.exceptions };
}

const RANK: Readonly<Record<Level, number>> = { note: 1, warning: 2, error: 3 };
const rankOf = ({ level }: RuleSetting): number => (level === undefined ? 0 : RANK[level]);

function gravest(profiles: readonly ProfileName[]): Map<string, RuleSetting> {
  const rules = new Map<string, RuleSetting>();
  for (const [id, setting] of profiles.flatMap((name) => [...profileOf(name).rules])) {
    const before = rules.get(id);
    if (before === undefined || rankOf(setting) > rankOf(before)) rules.set(id, setting);
  }
  return rules;
}

/** Seconds since the Epoch. */
export const secondsNow = ({ io }: Context): number => Math.floor(io.now().getTime() / 1000);
