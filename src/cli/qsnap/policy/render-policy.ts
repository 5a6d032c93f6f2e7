import {
  AUDIT_RULES,
  findRule,
  type AuditPolicy,
  type NamedRegex,
  type OptionSpec,
  type OptionValue,
  type PolicyException,
  type Rule,
  type RuleSetting,
} from '../../../index.js';
import { AGE_UNITS, jsonText } from '../../text.js';
import { dayText } from './parse-exceptions.js';

const DAY_SECONDS = 86_400;

/**
 * A policy as a file that says the same, with comments.
 *
 * @param title the first comment: one line.
 * @throws TypeError for what no file says: ages that are no whole hours, exceptions that end within a day, rules that
 *   there are not.
 */
export function renderPolicy({ rules, exceptions }: AuditPolicy, title: string): string {
  for (const id of rules.keys()) knownRule(id);
  const settings = AUDIT_RULES.flatMap((rule) => {
    const setting = rules.get(rule.id);
    return setting === undefined ? [] : ruleLines(rule, setting);
  });
  const excepted = exceptions.flatMap(exceptionLines);
  const lines = [
    `# ${title}`,
    ...(settings.length === 0 ? ['rules: {}'] : ['rules:', ...settings]),
    ...(excepted.length === 0 ? [] : ['exceptions:', ...excepted]),
  ];
  return `${lines.join('\n')}\n`;
}

function knownRule(id: string): Rule {
  const rule = findRule(id);
  if (rule === undefined) throw new TypeError(`no rule is called ${id}`);
  return rule;
}

function ruleLines(rule: Rule, { level, options }: RuleSetting): readonly string[] {
  const { id, name, title } = rule;
  const specs = Object.entries(rule.options);
  const word = level ?? 'off';
  const said = specs.flatMap(([option, spec]) => {
    const value = options[option];
    return value === undefined ? [] : [`${option}: ${valueText(spec, value)}`];
  });
  const setting = said.length === 0 ? word : `{ ${[`level: ${word}`, ...said].join(', ')} }`;
  const about = specs.map(([option, spec]) => `  #   ${option}: ${aboutText(spec)}`);
  return [`  # ${id}: ${title}`, ...about, `  ${name}: ${setting}`];
}

function aboutText(spec: OptionSpec): string {
  const words = spec.words === undefined ? '' : ` (${spec.words.join(', ')})`;
  const byDefault =
    spec.default === undefined ? '' : `; by default ${valueText(spec, spec.default)}`;
  return `${spec.about}${words}${byDefault}`;
}

function valueText({ kind }: OptionSpec, value: OptionValue): string {
  if (typeof value !== 'number') return `[${value.map(itemText).join(', ')}]`;
  if (kind === 'bytes') return sizeText(value);
  return kind === 'age' ? ageText(value) : String(value);
}

function itemText(item: string | NamedRegex): string {
  if (typeof item === 'string') return textInQuotes(item);
  return `{ name: ${textInQuotes(item.name)}, regex: ${textInQuotes(item.regex)} }`;
}

/** The largest unit of which it is a whole number. */
function sizeText(bytes: number): string {
  const power = [5, 4, 3, 2, 1].find((one) => bytes > 0 && bytes % 1024 ** one === 0) ?? 0;
  return `${bytes / 1024 ** power}${['', 'k', 'M', 'G', 'T', 'P'][power]!}`;
}

function ageText(seconds: number): string {
  const unit = AGE_UNITS.find(([, of]) => seconds % of === 0);
  if (unit === undefined) throw new TypeError(`${seconds} seconds are no whole hours`);
  return `${seconds / unit[1]}${unit[0]}`;
}

/** JSON is YAML, and a text in quotes is never taken for something else. */
function textInQuotes(text: string): string {
  return jsonText(text).trimEnd();
}

function exceptionLines({ rule, images, reason, until }: PolicyException): readonly string[] {
  const last = dayText(until - DAY_SECONDS);
  if (until % DAY_SECONDS !== 0 || !/^\d{4}-/.test(last)) {
    throw new TypeError(`${until} is not the end of a day that a file can name`);
  }
  return [
    `  - rule: ${knownRule(rule).name}`,
    ...(images === undefined ? [] : [`    images: [${images.map(textInQuotes).join(', ')}]`]),
    `    reason: ${textInQuotes(reason)}`,
    `    until: ${last}`,
  ];
}
