import { findRule, profileOf, type AuditPolicy, type ProfileName } from '../../../index.js';
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
 * The rules of all profiles, and over them those of the policy file: of a rule that several have, the last setting counts.
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
  const rules = new Map(profile.flatMap((name) => [...profileOf(name).rules]));
  for (const [id, setting] of read.rules) rules.set(id, setting);
  if (readableBy !== undefined) {
    rules.set(findRule('readable-by')!.id, { level: 'error', options: { readers: readableBy } });
  }
  return { rules: backing === true ? withChainRules(rules) : rules, exceptions: read.exceptions };
}

/** Seconds since the Epoch. */
export const secondsNow = ({ io }: Context): number => Math.floor(io.now().getTime() / 1000);
