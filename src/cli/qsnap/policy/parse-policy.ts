import { parseExceptions, type ParsedException } from './parse-exceptions.js';
import { parseRules, type ParsedSetting } from './parse-rules.js';
import type { PolicyProblem } from './policy-error.js';
import { ProblemList } from './problem-list.js';
import { fieldsOf, foundText, quoted, textsIn, type Tree } from './tree.js';

/** A policy or file that another one extends, and how to say something of it. */
export interface ParsedBase {
  /** The name of a profile, or a path that begins with "./", "../" or "/". */
  readonly word: string;
  readonly told: (message: string) => PolicyProblem;
}

/** What one file says, without what it extends. */
export interface ParsedPolicy {
  readonly extends: readonly ParsedBase[];
  /** By ids of rules. */
  readonly rules: ReadonlyMap<string, ParsedSetting>;
  readonly exceptions: readonly ParsedException[];
  /** All that is wrong, in the order of the file; what was right is above all the same. */
  readonly problems: readonly PolicyProblem[];
}

const KEYS = ['extends', 'rules', 'exceptions'];

/**
 * Parses the text of a policy file. Throws nothing, whatever the text is.
 *
 * @param file its name in problems.
 */
export async function parsePolicy(file: string, text: string): Promise<ParsedPolicy> {
  // YAML takes more to load than most commands.
  const { readTree } = await import('./read-tree.js');
  const problems = new ProblemList(file, text);
  const tree = readTree(text, problems);
  const fields = tree === undefined ? new Map<string, Tree>() : topOf(tree, problems);
  const bases = parseBases(fields.get('extends'), problems);
  const rules = parseRules(fields.get('rules'), problems);
  const exceptions = parseExceptions(fields.get('exceptions'), problems);
  return { extends: bases, rules, exceptions, problems: problems.sorted() };
}

function topOf(tree: Tree, problems: ProblemList): ReadonlyMap<string, Tree> {
  // "$schema" is for editors, which take it from JSON so.
  if (tree.kind === 'map') return fieldsOf(tree, [...KEYS, '$schema'], 'a policy', problems);
  const found = tree.kind === 'nothing' ? 'this file is empty' : `found ${foundText(tree)}`;
  problems.add(tree.at, `a policy is a map with ${KEYS.join(', ')}; ${found}`);
  return new Map();
}

function parseBases(tree: Tree | undefined, problems: ProblemList): readonly ParsedBase[] {
  if (tree === undefined || tree.kind === 'nothing') return [];
  return (textsIn(tree, 'extends', problems) ?? []).map(({ at, text }) => ({
    word: text,
    told: (message) => problems.at(at, `${quoted(text)} ${message}`),
  }));
}
