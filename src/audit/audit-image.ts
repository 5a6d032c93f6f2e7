import { isQsnapError, type QsnapError } from '../errors.js';
import { openForReading } from '../image/open-for-reading.js';
import { stoppable } from '../io/stoppable.js';
import type { BlockSource } from '../io/device.js';
import { AUDIT_RULES, findRule } from './catalog.js';
import { NOT_AN_IMAGE } from './rules/image.js';
import { gatherFacts, isSame, type AuditSurroundings } from './facts.js';
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
 * Judges an image by a policy. Nothing is written, and without a gate no file that the image names is opened. It reads what the
 * rules need that are on: a few reads where none asks for more than the header.
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
  refuseUnknownRegexes(rules, options);
  const needs = new Set<Need>(rules.flatMap(({ rule }) => rule.needs));
  let facts: AuditFacts;
  try {
    const image = await openForReading(stoppable(source, options.signal, 'the audit'));
    facts = await gatherFacts(image, needs, options);
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    const found = unopenedFinding(error, policy);
    return { ...parted(found, policy, options), unopened: error, isCorrupt: !isForeign(error) };
  }
  const findings = rules.flatMap(({ rule, setting, level }) =>
    rule
      .judge(facts, withDefaults(rule, setting))
      .map((one) => ({ ...inFile(one, facts), rule, level })),
  );
  return {
    ...parted(findings, policy, options),
    unopened: undefined,
    isCorrupt: isCorrupt(facts),
  };
}

/** A policy with expressions that nobody looks for would be kept by every image. */
function refuseUnknownRegexes(
  rules: readonly { readonly rule: Rule; readonly setting: RuleSetting }[],
  { findSecrets }: AuditOptions,
): void {
  if (findSecrets !== undefined) return;
  for (const { rule, setting } of rules) {
    for (const [name, { kind }] of Object.entries(rule.options)) {
      if (kind !== 'regexes' || setting.options[name] === undefined) continue;
      throw new TypeError(
        `${name} of ${rule.name} are looked for by findSecrets, which is missing`,
      );
    }
  }
}

/** A check that could not go on has no totals, and may have found enough before. */
function isCorrupt({ check }: AuditFacts): boolean {
  if (check === undefined) return false;
  const isFound = check.findings.some(({ severity }) => severity === 'corruption');
  return isFound || check.totals.corruptions > 0 || check.exitCode === 2;
}

/** What counts, and what the policy allows for now. */
function parted(
  findings: readonly AuditFinding[],
  { exceptions }: AuditPolicy,
  options: AuditOptions,
): Pick<AuditReport, 'findings' | 'excepted'> {
  const exceptionOf = ({ rule }: AuditFinding): PolicyException | undefined =>
    exceptions.find((one) => holds(one, rule, options));
  return {
    findings: findings.filter((finding) => exceptionOf(finding) === undefined),
    excepted: findings.flatMap((finding) => {
      const exception = exceptionOf(finding);
      return exception === undefined ? [] : [{ ...finding, exception }];
    }),
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
  { now, path, matches = isSame }: AuditOptions,
): boolean {
  if (id !== rule.id || now >= until) return false;
  if (images === undefined) return true;
  return path !== undefined && images.some((pattern) => matches(path, pattern));
}

/** What can't be opened is an error, unless the policy says otherwise. */
function unopenedFinding(error: QsnapError, { rules }: AuditPolicy): readonly AuditFinding[] {
  const isUnknown = error.code === 'UNSUPPORTED_FEATURE';
  const rule = isUnknown ? findRule('unknown-features')! : NOT_AN_IMAGE;
  const setting = rules.get(rule.id);
  const level = setting === undefined ? 'error' : setting.level;
  if (level === undefined) return [];
  const { message, details, code } = error;
  return [{ message, at: details.at, facts: { code }, rule, level }];
}

/** These may be sound: they are only not what qsnap knows. */
function isForeign({ code }: QsnapError): boolean {
  return ['NOT_QCOW2', 'QCOW_VERSION_1', 'UNSUPPORTED_FEATURE', 'LIMIT_EXCEEDED'].includes(code);
}
