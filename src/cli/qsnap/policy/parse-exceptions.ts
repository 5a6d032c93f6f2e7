import type { PolicyException } from '../../../index.js';
import { patternsIn } from './option-value.js';
import { ruleOf } from './parse-rules.js';
import type { PolicyProblem } from './policy-error.js';
import type { ProblemList } from './problem-list.js';
import { fieldsOf, foundText, type MapTree, type Tree } from './tree.js';

const DAY_SECONDS = 86_400;

/** An exception, and how to say something of it. */
export interface ParsedException {
  readonly exception: PolicyException;
  /** A problem at the place of the exception's rule. */
  readonly told: (message: string) => PolicyProblem;
}

/** The list under `exceptions`. */
export function parseExceptions(
  tree: Tree | undefined,
  problems: ProblemList,
): readonly ParsedException[] {
  if (tree === undefined || tree.kind === 'nothing') return [];
  if (tree.kind !== 'list') {
    problems.add(tree.at, `exceptions is a list, each begun with "-"; found ${foundText(tree)}`);
    return [];
  }
  return tree.items.flatMap((item) => {
    if (item.kind === 'map') return exceptionOf(item, problems) ?? [];
    const wanted = 'an exception is a map with rule, reason and until';
    problems.add(item.at, `${wanted}; found ${foundText(item)}`);
    return [];
  });
}

function exceptionOf(tree: MapTree, problems: ProblemList): ParsedException | undefined {
  const names = ['rule', 'images', 'reason', 'until'];
  const fields = fieldsOf(tree, names, 'an exception', problems);
  const needed = (name: string, why: string): Tree | undefined => {
    const field = fields.get(name);
    if (field === undefined) problems.add(tree.at, `this exception has no ${name}; ${why}`);
    return field;
  };
  const word = needed('rule', 'write the name or id of the rule');
  const named = word && textOf(word, 'rule is the name or id of a rule', problems);
  const rule = named && ruleOf(named, problems);
  const images = fields.get('images');
  const patterns = images && patternsIn(images, 'images of an exception', problems);
  const why = needed('reason', 'write why it is allowed');
  const reason = why && textOf(why, 'reason says why it is allowed', problems);
  const day = needed('until', 'write the last day on which it holds, such as 2026-12-31');
  const until = day && untilOf(day, problems);
  if (rule === undefined || reason === undefined || until === undefined) return undefined;
  const exception = { rule: rule.id, images: patterns, reason: reason.text, until };
  return { exception, told: (message) => problems.at(word!.at, message) };
}

function textOf(
  tree: Tree,
  wanted: string,
  problems: ProblemList,
): (Tree & { kind: 'text' }) | undefined {
  if (tree.kind === 'text' && tree.text.trim() !== '') return tree;
  problems.add(tree.at, `${wanted}; found ${foundText(tree)}`);
  return undefined;
}

/** The moment at which the day is over in UTC, in seconds since the Epoch. */
function untilOf(tree: Tree, problems: ProblemList): number | undefined {
  const text = tree.kind === 'text' ? tree.text : '';
  const isWritten = /^\d{4}-\d\d-\d\d$/.test(text);
  const milliseconds = isWritten ? Date.parse(text) : NaN;
  // Some days that there are not become others.
  const isDay = !Number.isNaN(milliseconds) && dayText(milliseconds / 1000) === text;
  if (isDay) return milliseconds / 1000 + DAY_SECONDS;
  const wanted = isWritten ? 'there is no such day' : 'write a day, such as 2026-12-31';
  problems.add(tree.at, `until is ${foundText(tree)}; ${wanted}`);
  return undefined;
}

/** The day of a moment in UTC, such as 2026-12-31. */
export function dayText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}
