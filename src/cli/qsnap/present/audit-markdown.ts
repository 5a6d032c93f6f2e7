import type { AuditFinding, AuditReport, Level } from '../../../index.js';
import { countText, hexText, oneSafeLine } from '../../text.js';
import {
  findingsOf,
  isAudited,
  ruleLabel,
  type AuditResult,
  type Audited,
  type NotAudited,
} from './audited.js';
import { foreignMarkdown } from './markdown.js';

/** Findings of one image that its table has. */
const ROWS_MAX = 20;
/** Characters of a message or a path: an image may hold names of 64 KiB. */
const TEXT_MAX = 300;
/** GitHub shows nothing of a summary of more than 1 MiB, and it may have other steps. */
const SUMMARY_BYTES_MAX = 512 * 1024;

const GRAVEST_FIRST: readonly Level[] = ['error', 'warning', 'note'];

/**
 * A summary for the page of a CI job, in GitHub's Markdown: a line of totals, then a table of each image, the gravest
 * findings first. What is too much is counted instead.
 */
export function auditMarkdown(results: readonly AuditResult[]): string {
  const parts = [`**${totalsText(results)}**\n`];
  let bytes = 0;
  let shown = 0;
  for (const result of results) {
    const part = isAudited(result) ? tableOf(result) : failureOf(result);
    bytes += Buffer.byteLength(part);
    if (bytes > SUMMARY_BYTES_MAX) break;
    parts.push(part);
    shown += 1;
  }
  const left = results.length - shown;
  if (left > 0) parts.push(`and ${countText(left, 'more image')}\n`);
  return parts.join('\n');
}

function totalsText(results: readonly AuditResult[]): string {
  const findings = findingsOf(results);
  const counts = GRAVEST_FIRST.map((level) =>
    countText(findings.filter((one) => one.level === level).length, level),
  );
  const failed = results.filter((result) => !isAudited(result)).length;
  const notAudited = failed === 0 ? '' : `; ${countText(failed, 'image')} could not be audited`;
  return `${countText(results.length, 'image')}: ${counts.join(', ')}${notAudited}`;
}

function tableOf({ path, report }: Audited): string {
  const { findings } = report;
  const sorted = GRAVEST_FIRST.flatMap((level) => findings.filter((one) => one.level === level));
  const rows = sorted.slice(0, ROWS_MAX).map(rowOf);
  const left = findings.length - rows.length;
  const table = ['| Level | Rule | Message | Offset |', '| --- | --- | --- | ---: |', ...rows, ''];
  return [
    headingOf(path),
    ...(rows.length === 0 ? ['No rule is broken.', ''] : table),
    ...(left > 0 ? [`and ${countText(left, 'more finding')}`, ''] : []),
    ...exceptedLines(report),
  ].join('\n');
}

function rowOf({ level, rule, message, at }: AuditFinding): string {
  const offset = at === undefined ? '' : hexText(at);
  return `| ${level} | ${ruleLabel(rule)} | ${shownText(message)} | ${offset} |`;
}

function exceptedLines({ excepted }: AuditReport): readonly string[] {
  if (excepted.length === 0) return [];
  return [`${countText(excepted.length, 'finding')} allowed by exceptions of the policy`, ''];
}

function failureOf({ path, error }: NotAudited): string {
  return `${headingOf(path)}\nCould not be audited (${error.code}): ${shownText(error.message)}\n`;
}

function headingOf(path: string): string {
  return `### ${shownText(path)}\n`;
}

function shownText(text: string): string {
  const characters = Array.from(oneSafeLine(text));
  const isLong = characters.length > TEXT_MAX;
  return foreignMarkdown(
    isLong ? `${characters.slice(0, TEXT_MAX).join('')}…` : characters.join(''),
  );
}
