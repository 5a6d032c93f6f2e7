import type { AuditFinding, FindingCode, Rule, ScrubPart } from '../../../index.js';
import { safeRemedyOf } from './safe-remedies.js';

/** What is to be done about findings of an audit. */
export interface Remedies {
  /** Codes of the findings of a check that are repaired. */
  readonly repairs: readonly FindingCode[];
  readonly scrubs: readonly ScrubPart[];
  /** The rules that this is for, ascending. */
  readonly rules: readonly Rule[];
}

/**
 * The safe remedies of what an audit found. What a policy allows is no finding, and so nothing is done about it: also a
 * code that a rule leaves out is not repaired.
 */
export function chooseRemedies(findings: readonly AuditFinding[]): Remedies {
  const repairs = new Set<FindingCode>();
  const scrubs = new Set<ScrubPart>();
  const rules = new Set<Rule>();
  for (const { rule, facts } of findings) {
    const remedy = safeRemedyOf(rule);
    if (remedy === undefined) continue;
    const code = facts?.['code'];
    const meant = remedy.repairs.filter((one) => code === undefined || one === code);
    if (meant.length + remedy.scrubs.length === 0) continue;
    for (const one of meant) repairs.add(one);
    for (const one of remedy.scrubs) scrubs.add(one);
    rules.add(rule);
  }
  return { repairs: [...repairs], scrubs: [...scrubs], rules: [...rules] };
}
