import type { AuditFinding, Level, OptionSpec, Rule } from '../../../index.js';
import { printableText } from '../../../internal.js';
import type { Style } from '../../style.js';
import { countText, exactSizeText, hexText, oneSafeLine } from '../../text.js';
import { safeRemedyOf } from '../mending/safe-remedies.js';
import { helpOfRule } from '../rule-help.js';
import { findingsOf, isAudited, type Audited, type AuditResult } from './audited.js';

/** How many findings there are of each level. */
export interface LevelCounts {
  readonly error: number;
  readonly warning: number;
  readonly note: number;
}

/** Counts findings by level. */
export function countLevels(findings: readonly AuditFinding[]): LevelCounts {
  const count = (wanted: Level): number => findings.filter(({ level }) => level === wanted).length;
  return { error: count('error'), warning: count('warning'), note: count('note') };
}

/** The counts in words: "2 errors, 1 note"; nothing for none. */
export function countsText({ error, warning, note }: LevelCounts): string {
  const parts = [
    ...(error > 0 ? [countText(error, 'error')] : []),
    ...(warning > 0 ? [countText(warning, 'warning')] : []),
    ...(note > 0 ? [countText(note, 'note')] : []),
  ];
  return parts.join(', ');
}

/** What is said of one image. */
export function auditLines({ path, report }: Audited, style: Style): readonly string[] {
  const { findings, excepted, isCorrupt } = report;
  const passes = isCorrupt ? 'corrupt, which no policy allows' : 'passes';
  const counts = countsText(countLevels(findings));
  const allowed = excepted.length === 0 ? '' : ` (${countText(excepted.length, 'exception')})`;
  const title = `${printableText(path)}: ${counts === '' ? passes : counts}${allowed}`;
  return [title, ...findings.map((finding) => `  ${findingLine(finding, style)}`)];
}

/** What several images come to. */
export function totalsLine(results: readonly AuditResult[]): string {
  const reports = results.filter(isAudited).map(({ report }) => report);
  const broken = reports.filter(({ findings }) => findings.length > 0).length;
  const failed = results.length - reports.length;
  const parts = [
    `${reports.length - broken} without a finding`,
    ...(broken > 0 ? [`${broken} with ${countsText(countLevels(findingsOf(results)))}`] : []),
    ...(failed > 0 ? [`${failed} not audited`] : []),
  ];
  return `${countText(results.length, 'image')}: ${parts.join(', ')}.`;
}

const DAY_SECONDS = 86_400;
const LEVEL_WIDTH = 'warning'.length;

function findingLine({ rule, level, message, at }: AuditFinding, style: Style): string {
  const padded = level.padEnd(LEVEL_WIDTH);
  const painted =
    level === 'error' ? style.error(padded) : level === 'warning' ? style.warning(padded) : padded;
  const place = at === undefined ? '' : ` (at ${hexText(at)})`;
  return `${painted}  ${rule.id} ${rule.name}: ${oneSafeLine(message)}${place}`;
}

/** All about one rule. */
export function ruleLines(rule: Rule): readonly string[] {
  const options = optionLines(rule);
  const { remedy, example } = helpOfRule(rule);
  const fix = safeRemedyOf(rule);
  return [
    `${rule.id} ${rule.name}`,
    `${rule.title}.`,
    '',
    `Why: ${rule.reason}`,
    `What to do: ${remedy}`,
    ...(fix === undefined ? [] : [`Mended by --fix: ${fix.does}`]),
    `In a policy: ${example}`,
    ...(options.length > 0 ? ['Options:', ...options.map((line) => `  ${line}`)] : []),
  ];
}

/** What a policy may say besides the level. */
export function optionLines({ options, idleWithout = [] }: Rule): readonly string[] {
  const lines = Object.entries(options).map(optionLine);
  if (idleWithout.length === 0) return lines;
  return [
    ...lines,
    `${idleWithout.join(' or ')} has to be given: without, the rule asks for nothing`,
  ];
}

function optionLine([name, spec]: readonly [string, OptionSpec]): string {
  const words = spec.words === undefined ? '' : ` (${spec.words.join(', ')})`;
  const usual = spec.default === undefined ? '' : `; usual: ${defaultText(spec)}`;
  return `${name}: ${spec.about}${words}${usual}`;
}

function defaultText({ kind, default: value }: OptionSpec): string {
  if (typeof value === 'object') {
    return value.map((one) => (typeof one === 'string' ? one : one.name)).join(', ');
  }
  if (kind === 'bytes') return exactSizeText(value!);
  return kind === 'age' ? `${value! / DAY_SECONDS}d` : String(value);
}
