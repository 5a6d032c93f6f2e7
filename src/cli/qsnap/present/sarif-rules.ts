import { AUDIT_RULES, findRule, PROFILE_NAMES, profileOf } from '../../../index.js';
import type { Level, Rule } from '../../../index.js';
import { helpOfRule } from '../rule-help.js';
import { escapedMarkdown } from './markdown.js';

const GRAVEST_FIRST: readonly Level[] = ['error', 'warning', 'note'];

/** All rules as SARIF's descriptors, in the order of `AUDIT_RULES`. Braces stay single: no arguments are put into them. */
export function sarifRules(): readonly Record<string, unknown>[] {
  return AUDIT_RULES.map((rule) => ({
    id: rule.id,
    name: rule.name,
    shortDescription: { text: rule.title },
    fullDescription: { text: rule.reason },
    help: { text: helpText(rule), markdown: helpMarkdown(rule) },
    defaultConfiguration: { level: usualLevel(rule) },
  }));
}

function helpText(rule: Rule): string {
  const { reason } = rule;
  const { remedy, example } = helpOfRule(rule);
  return `${reason}\n\nRemedy: ${remedy}\n\nExample: ${example}`;
}

function helpMarkdown(rule: Rule): string {
  const { remedy, example } = helpOfRule(rule);
  const [why, how] = [rule.reason, remedy].map(escapedMarkdown);
  return `${why!}\n\n**Remedy:** ${how!}\n\n**Example:**\n\n\`\`\`\n${example}\n\`\`\`\n`;
}

/**
 * Policies give levels, rules have none. This is the gravest that a built-in policy gives, and SARIF's own default where
 * none does. A file that is no image is an error in all of them.
 */
function usualLevel({ id }: Rule): Level {
  if (id === findRule('image')?.id) return 'error';
  const levels = PROFILE_NAMES.map((name) => profileOf(name).rules.get(id)?.level);
  return GRAVEST_FIRST.find((level) => levels.includes(level)) ?? 'warning';
}
