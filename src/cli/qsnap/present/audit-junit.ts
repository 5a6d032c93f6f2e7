import type { AuditFinding, AuditReport } from '../../../index.js';
import { hexText, oneSafeLine } from '../../text.js';
import { helpOfRule } from '../rule-help.js';
import { isAudited, ruleLabel, type AuditResult } from './audited.js';
import { escapedXml } from './svg.js';

/** Lines of a test case, and what it counts as. */
interface TestCase {
  readonly outcome: 'passed' | 'failed' | 'broken' | 'skipped';
  readonly lines: readonly string[];
}

/**
 * JUnit's XML as Jenkins takes it: a suite for each image, a case for each rule that it breaks. Errors are failures;
 * warnings and notes are output of a case that passes; what a policy allows is skipped. An image that breaks no rule has
 * the one case `audit`, and so has one that could not be read, as an error.
 */
export function auditJunit(results: readonly AuditResult[]): string {
  const suites = results.map((result) => ({ path: result.path, cases: casesOf(result) }));
  const all = countsOf(suites.flatMap(({ cases }) => cases));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: 'qsnap audit', ...all })}>`,
    ...suites.flatMap(({ path, cases }) => {
      const { length: skipped } = cases.filter(({ outcome }) => outcome === 'skipped');
      return [
        `  <testsuite${attributes({ name: path, ...countsOf(cases), skipped })}>`,
        ...cases.flatMap(({ lines }) => lines.map((line) => `    ${line}`)),
        '  </testsuite>',
      ];
    }),
    '</testsuites>\n',
  ].join('\n');
}

function casesOf(result: AuditResult): readonly TestCase[] {
  const { path } = result;
  if (!isAudited(result)) {
    const { code, message } = result.error;
    const error = element('error', { type: code, message }, [message]);
    return [testCase('broken', path, 'audit', [error])];
  }
  const broken = byRule(result.report.findings).map((those) => caseOfRule(path, those));
  const passed = broken.length === 0 ? [testCase('passed', path, 'audit', [])] : broken;
  return [...passed, ...exceptedCases(path, result.report)];
}

/** The findings of one rule: its failure has all of them, since Jenkins shows but one failure of a case. */
function caseOfRule(path: string, findings: readonly AuditFinding[]): TestCase {
  const { rule } = findings[0]!;
  const { remedy } = helpOfRule(rule);
  const errors = findings.filter(({ level }) => level === 'error');
  const others = findings.filter(({ level }) => level !== 'error');
  const [first] = errors;
  const failure = first && {
    type: rule.id,
    message:
      errors.length === 1 ? first.message : `${first.message}, and ${errors.length - 1} more`,
  };
  return testCase(first === undefined ? 'passed' : 'failed', path, ruleLabel(rule), [
    ...(failure === undefined ? [] : [element('failure', failure, linesOf(errors, remedy))]),
    ...(others.length === 0 ? [] : [element('system-out', {}, linesOf(others, remedy))]),
  ]);
}

function exceptedCases(path: string, { excepted }: AuditReport): readonly TestCase[] {
  return byRule(excepted).map((those) => {
    const { rule, exception } = those[0]!;
    const lines = linesOf(those, `allowed: ${exception.reason}`);
    return testCase('skipped', path, ruleLabel(rule), [element('skipped', {}, lines)]);
  });
}

/** Findings in groups, as they come: those of a rule follow each other. */
function byRule<T extends AuditFinding>(findings: readonly T[]): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const finding of findings) {
    const group = groups.get(finding.rule.id);
    if (group === undefined) groups.set(finding.rule.id, [finding]);
    else group.push(finding);
  }
  return [...groups.values()];
}

function linesOf(findings: readonly AuditFinding[], last: string): readonly string[] {
  const lines = findings.map(({ level, message, at }) => {
    return `${level}${at === undefined ? '' : ` at ${hexText(at)}`}: ${message}`;
  });
  return [...lines, last];
}

function testCase(
  outcome: TestCase['outcome'],
  path: string,
  name: string,
  children: readonly string[],
): TestCase {
  const start = `<testcase${attributes({ classname: path, name })}`;
  const lines = [`${start}>`, ...children.map((child) => `  ${child}`), '</testcase>'];
  return { outcome, lines: children.length === 0 ? [`${start}/>`] : lines };
}

function countsOf(cases: readonly TestCase[]): Readonly<Record<string, number>> {
  const count = (outcome: TestCase['outcome']): number =>
    cases.filter((one) => one.outcome === outcome).length;
  return { tests: cases.length, failures: count('failed'), errors: count('broken') };
}

function element(
  name: string,
  values: Readonly<Record<string, string>>,
  lines: readonly string[],
): string {
  return `<${name}${attributes(values)}>${lines.map(safeXml).join('\n')}</${name}>`;
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${safeXml(String(value))}"`)
    .join('');
}

function safeXml(text: string): string {
  return escapedXml(oneSafeLine(text));
}
