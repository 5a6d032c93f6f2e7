import { isQsnapError, type QsnapError } from '../errors.js';
import { openForReading } from '../image/open-for-reading.js';
import { stoppable } from '../io/stoppable.js';
import type { BlockSource } from '../io/device.js';
import { AUDIT_RULES, findRule } from './catalog.js';
import { NOT_AN_IMAGE } from './rules/image.js';
import { gatherFacts, type AuditSurroundings } from './facts.js';
import type { AuditPolicy, PolicyException, RuleSetting } from './policy.js';
import type { AuditFacts, Level, Need, Rule, Violation } from './rule.js';

/** A rule that an image breaks. */
export interface AuditFinding extends Violation {
  readonly rule: Rule;
  readonly level: Level;
}

/** What an audit found. */
export interface AuditReport {
  /** By ascending rule, and in the order of the file within one. */
  readonly findings: readonly AuditFinding[];
  /** What the policy allows for now, each with the exception. */
  readonly excepted: readonly (AuditFinding & { readonly exception: PolicyException })[];
  /** Why the file is no image that can be opened; the findings then have that alone. */
  readonly unopened: QsnapError | undefined;
  /** Whether a check found corruption, or the header can't be right. */
  readonly isCorrupt: boolean;
}

/** What an audit takes besides the policy. */
export interface AuditOptions extends AuditSurroundings {
  /** The path of the image as exceptions name it; without it only those for all images hold. */
  readonly path?: string | undefined;
}

/**
 * Judges an image by a policy. Nothing is written, and no file that the image names is opened. It reads what the rules
 * need that are on: a few reads where none asks for more than the header.
 *
 * ```ts
 * const { findings } = await auditImage(device, profileOf('untrusted-upload'), { now: 1_790_000_000 });
 * for (const { rule, level, message } of findings) console.log(rule.id, level, message);
 * ```
 *
 * @throws QsnapError READ_FAILED, ABORTED, LIMIT_EXCEEDED.
 */
export async function auditImage(
  source: BlockSource,
  policy: AuditPolicy,
  options: AuditOptions,
): Promise<AuditReport> {
  const rules = AUDIT_RULES.flatMap((rule) => {
    const setting = policy.rules.get(rule.id);
    return setting?.level === undefined ? [] : [{ rule, setting, level: setting.level }];
  });
  const needs = new Set<Need>(rules.flatMap(({ rule }) => rule.needs));
  let facts: AuditFacts;
  try {
    const image = await openForReading(stoppable(source, options.signal, 'the audit'));
    facts = await gatherFacts(image, needs, options);
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return unopened(error);
  }
  const findings = rules.flatMap(({ rule, setting, level }) =>
    rule
      .judge(facts, withDefaults(rule, setting))
      .map((one) => ({ ...inFile(one, facts), rule, level })),
  );
  const isKnown = (finding: AuditFinding): PolicyException | undefined =>
    policy.exceptions.find((one) => holds(one, finding.rule, options, facts));
  return {
    findings: findings.filter((finding) => isKnown(finding) === undefined),
    excepted: findings.flatMap((finding) => {
      const exception = isKnown(finding);
      return exception === undefined ? [] : [{ ...finding, exception }];
    }),
    unopened: undefined,
    isCorrupt: (facts.check?.totals.corruptions ?? 0) > 0 || facts.check?.exitCode === 2,
  };
}

/** What leads somewhere behind the end of the file is at no place in it. */
function inFile({ at, length, ...said }: Violation, { image }: AuditFacts): Violation {
  const left = image.fileSizeBytes - (at ?? Infinity);
  if (left <= 0) return said;
  return { ...said, at, ...(length !== undefined && { length: Math.min(length, left) }) };
}

function withDefaults({ options }: Rule, setting: RuleSetting): RuleSetting['options'] {
  const defaults = Object.entries(options).map(([name, spec]) => [name, spec.default] as const);
  return { ...Object.fromEntries(defaults), ...setting.options };
}

function holds(
  { rule: id, images, until }: PolicyException,
  rule: Rule,
  { now, path }: AuditOptions,
  { matches }: AuditFacts,
): boolean {
  if (id !== rule.id || now >= until) return false;
  if (images === undefined) return true;
  return path !== undefined && images.some((pattern) => matches(path, pattern));
}

function unopened(error: QsnapError): AuditReport {
  // These may be sound: they are only not what qsnap knows.
  const foreign = ['NOT_QCOW2', 'QCOW_VERSION_1', 'UNSUPPORTED_FEATURE', 'LIMIT_EXCEEDED'];
  const isForeign = foreign.includes(error.code);
  const finding: AuditFinding = {
    message: error.message,
    at: error.details.at,
    facts: { code: error.code },
    rule: error.code === 'UNSUPPORTED_FEATURE' ? findRule('unknown-features')! : NOT_AN_IMAGE,
    level: 'error',
  };
  return { findings: [finding], excepted: [], unopened: error, isCorrupt: !isForeign };
}
