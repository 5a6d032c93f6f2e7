import type { AuditFinding, Rule } from '../../../index.js';
import { utcTimeText } from '../../text.js';
import { errorJson } from '../report.js';
import { safeRemedyOf } from '../mending/safe-remedies.js';
import { helpOfRule } from '../rule-help.js';
import { countLevels } from './audit-text.js';
import { findingsOf, isAudited, type AuditResult } from './audited.js';

/** One image. docs/schema/audit.json. */
export function auditJson(result: AuditResult): Record<string, unknown> {
  const mended = result.mending && { mending: result.mending };
  if (!isAudited(result)) {
    return { filename: result.path, error: errorJson(result.error, 'read'), ...mended };
  }
  const { findings, excepted, isCorrupt } = result.report;
  return {
    filename: result.path,
    'is-corrupt': isCorrupt,
    findings: findings.map(findingJson),
    excepted: excepted.map(({ exception, ...finding }) => ({
      ...findingJson(finding),
      reason: exception.reason,
      until: utcTimeText({ seconds: exception.until, nanoseconds: 0 }),
    })),
    ...mended,
  };
}

function findingJson({ rule, level, message, at, length, facts }: AuditFinding) {
  return {
    rule: rule.id,
    name: rule.name,
    level,
    message,
    ...(at !== undefined && { offset: at }),
    ...(length !== undefined && { length }),
    ...(facts !== undefined && { facts }),
  };
}

/** How many there are of all. */
export function totalsJson(results: readonly AuditResult[]): Record<string, unknown> {
  const counts = countLevels(findingsOf(results));
  return {
    images: results.length,
    'not-audited': results.filter((result) => !isAudited(result)).length,
    errors: counts.error,
    warnings: counts.warning,
    notes: counts.note,
  };
}

/** A rule, for `--explain --json`. */
export function ruleJson(rule: Rule): Record<string, unknown> {
  const { judge: _, idleWithout, ...facts } = rule;
  const fix = safeRemedyOf(rule)?.does;
  return {
    ...facts,
    ...(idleWithout !== undefined && { 'idle-without': idleWithout }),
    ...helpOfRule(rule),
    ...(fix !== undefined && { fix }),
  };
}

/** What stays the same of a finding when the image is written to. */
export function fingerprint(path: string, rule: string, facts: unknown): string {
  const entries = Object.entries((facts ?? {}) as Record<string, unknown>);
  return JSON.stringify([path, rule, entries.sort(([a], [b]) => (a < b ? -1 : 1))]);
}
