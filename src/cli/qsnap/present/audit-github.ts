import type { Level } from '../../../index.js';
import { hexText, oneSafeLine } from '../../text.js';
import { helpOfRule } from '../rule-help.js';
import { isAudited, ruleLabel, type AuditResult } from './audited.js';

const COMMANDS: Readonly<Record<Level, string>> = {
  error: 'error',
  warning: 'warning',
  note: 'notice',
};

/**
 * Findings as workflow commands of GitHub, one a line: a runner that reads them on stdout makes annotations of them.
 * What a policy allows is left out. The text is empty where nothing is to be said.
 */
export function auditGithub(results: readonly AuditResult[]): string {
  return results
    .flatMap(commandsOf)
    .map((line) => `${line}\n`)
    .join('');
}

function commandsOf(result: AuditResult): readonly string[] {
  const { path } = result;
  if (!isAudited(result)) {
    const { code, message } = result.error;
    return [command('error', path, `not audited (${code})`, [message])];
  }
  return result.report.findings.map(({ rule, level, message, at }) => {
    const place = at === undefined ? '' : ` (at ${hexText(at)})`;
    return command(COMMANDS[level], path, ruleLabel(rule), [
      message + place,
      helpOfRule(rule).remedy,
    ]);
  });
}

function command(name: string, path: string, title: string, lines: readonly string[]): string {
  const properties = `file=${escapedProperty(oneSafeLine(path))},title=${escapedProperty(title)}`;
  return `::${name} ${properties}::${escapedData(lines.map(oneSafeLine).join('\n'))}`;
}

/** Text behind the second `::`. */
function escapedData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** A value of a property, which ends at a comma. */
function escapedProperty(text: string): string {
  return escapedData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
