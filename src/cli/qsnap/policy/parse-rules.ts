import { AUDIT_RULES, findRule, type Level, type OptionValues, type Rule } from '../../../index.js';
import { didYouMean } from './near-word.js';
import { optionValueOf } from './option-value.js';
import type { PolicyProblem } from './policy-error.js';
import type { ProblemList } from './problem-list.js';
import { fieldsOf, foundText, quoted, type TextTree, type Tree } from './tree.js';

/** What a file says of a rule. */
export interface ParsedSetting {
  /** Undefined: the rule is off. */
  readonly level: Level | undefined;
  /** Undefined: a level alone, which leaves the options as the files have them that this one extends. */
  readonly options: OptionValues | undefined;
  /** How to say something of it. */
  readonly told: (message: string) => PolicyProblem;
}

/** Levels as files write them. */
export const LEVELS: readonly (Level | 'off')[] = ['off', 'note', 'warning', 'error'];

/** The settings under `rules`, by ids of rules. */
export function parseRules(
  tree: Tree | undefined,
  problems: ProblemList,
): ReadonlyMap<string, ParsedSetting> {
  const settings = new Map<string, ParsedSetting>();
  if (tree === undefined || tree.kind === 'nothing') return settings;
  if (tree.kind !== 'map') {
    problems.add(tree.at, `rules is a map, such as snapshots: error; found ${foundText(tree)}`);
    return settings;
  }
  const lines = new Map<string, number>();
  for (const { key, value } of tree.entries) {
    const rule = ruleOf(key, problems);
    if (rule === undefined) continue;
    const setting = settingOf(rule, key.at, value, problems);
    const line = lines.get(rule.id);
    if (line !== undefined) {
      const both = `${rule.name} and ${rule.id} are one rule`;
      problems.add(key.at, `${both}, and line ${line} has it already`);
    }
    lines.set(rule.id, problems.lineOf(key.at));
    if (setting !== undefined) settings.set(rule.id, setting);
  }
  return settings;
}

/** The rule of a name or an id; undefined where there is none, which is noted. */
export function ruleOf({ at, text }: TextTree, problems: ProblemList): Rule | undefined {
  const rule = findRule(text);
  if (rule === undefined) {
    // Of ids every other one is near.
    const id = findRule(text.toUpperCase())?.id;
    const words = id === undefined ? AUDIT_RULES.map(({ name }) => name) : [id];
    problems.add(at, `there is no rule ${quoted(text)}${didYouMean(text, words)}`);
  }
  return rule;
}

function settingOf(
  rule: Rule,
  at: number,
  tree: Tree,
  problems: ProblemList,
): ParsedSetting | undefined {
  const told = (message: string): PolicyProblem => problems.at(at, message);
  if (tree.kind !== 'map') {
    const level = levelOf(tree, rule.name, problems);
    return level === undefined ? undefined : { level: orOff(level), options: undefined, told };
  }
  const names = Object.keys(rule.options);
  const fields = fieldsOf(tree, ['level', ...names], `the rule ${rule.name}`, problems);
  const written = fields.get('level');
  if (written === undefined) {
    problems.add(at, `the rule ${rule.name} has no level; write { level: error, … }`);
  }
  const level = written && levelOf(written, rule.name, problems);
  const options: Record<string, OptionValues[string]> = {};
  for (const [name, spec] of Object.entries(rule.options)) {
    const field = fields.get(name);
    if (field === undefined) continue;
    const value = optionValueOf(field, spec, `${name} of ${rule.name}`, problems);
    if (value !== undefined) options[name] = value;
  }
  refuseNoRange(rule, options, fields, problems);
  return level === undefined ? undefined : { level: orOff(level), options, told };
}

function levelOf(tree: Tree, rule: string, problems: ProblemList): Level | 'off' | undefined {
  const text = tree.kind === 'text' ? tree.text : undefined;
  const level = LEVELS.find((one) => one === text);
  if (level !== undefined) return level;
  const near = text === undefined ? '' : didYouMean(text, LEVELS);
  const wanted = `the level of ${rule} is one of ${LEVELS.join(', ')}`;
  problems.add(tree.at, `${wanted}; found ${foundText(tree)}${near}`);
  return undefined;
}

const orOff = (level: Level | 'off'): Level | undefined => (level === 'off' ? undefined : level);

/** No value keeps a rule whose least is above its most. */
function refuseNoRange(
  { name, options: specs }: Rule,
  options: OptionValues,
  fields: ReadonlyMap<string, Tree>,
  problems: ProblemList,
): void {
  const [min, max] = ['min', 'max'].map((one) => options[one] ?? specs[one]?.default);
  if (typeof min !== 'number' || typeof max !== 'number' || min <= max) return;
  const written = fields.get('max') ?? fields.get('min');
  if (written === undefined) return;
  const byDefault = options['min'] === undefined ? ', which it is by default' : '';
  const message = `max of ${name} is ${max}, which is below min, ${min}${byDefault}`;
  problems.add(written.at, message);
}
