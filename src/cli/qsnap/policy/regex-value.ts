import { KNOWN_SECRETS, type NamedRegex } from '../../../index.js';
import { compileRegex } from '../secret-finder.js';
import type { ProblemList } from './problem-list.js';
import { fieldsOf, foundText, quoted, type MapTree, type Tree } from './tree.js';

/** Ours: more take the search below what anybody waits for. */
export const REGEXES_MAX = 100;
export const REGEX_MAX = 1024;

/** What a name may be: it stands in findings, and exceptions name it. */
export const REGEX_NAME = '^[a-z0-9][a-z0-9-]{0,63}$';

/** A list of names and regular expressions; undefined where it is none, which is noted. */
export function regexesIn(
  tree: Tree,
  what: string,
  problems: ProblemList,
): readonly NamedRegex[] | undefined {
  const wanted = 'a list of maps, such as { name: our-token, regex: "tok_[0-9a-f]{32}" }';
  if (tree.kind !== 'list') {
    problems.add(tree.at, `${what} is ${wanted}; found ${foundText(tree)}`);
    return undefined;
  }
  const { items } = tree;
  if (items.length === 0 || items.length > REGEXES_MAX) {
    problems.add(tree.at, `${what} has 1 to ${REGEXES_MAX} items; found ${items.length}`);
    return undefined;
  }
  const names = new Set(KNOWN_SECRETS);
  const regexes = items.map((item) => {
    if (item.kind === 'map') return regexOf(item, what, names, problems);
    problems.add(item.at, `${what} is ${wanted}; found ${foundText(item)}`);
    return undefined;
  });
  const right = regexes.filter((one) => one !== undefined);
  return right.length === regexes.length ? right : undefined;
}

function regexOf(
  tree: MapTree,
  what: string,
  names: Set<string>,
  problems: ProblemList,
): NamedRegex | undefined {
  const fields = fieldsOf(tree, ['name', 'regex'], `one of the ${what}`, problems);
  const name = textOf('name', tree, fields, what, problems, (text) => {
    if (!new RegExp(REGEX_NAME).test(text)) return 'has up to 64 letters a to z, digits and "-"';
    return names.has(text) ? `is that of another pattern: ${quoted(text)}` : undefined;
  });
  if (name !== undefined) names.add(name);
  const regex = textOf('regex', tree, fields, what, problems, problemOfRegex);
  return name === undefined || regex === undefined ? undefined : { name, regex };
}

function textOf(
  field: 'name' | 'regex',
  map: MapTree,
  fields: ReadonlyMap<string, Tree>,
  what: string,
  problems: ProblemList,
  problemOf: (text: string) => string | undefined,
): string | undefined {
  const tree = fields.get(field);
  if (tree?.kind !== 'text') {
    const found = tree === undefined ? '' : `; found ${foundText(tree)}`;
    problems.add((tree ?? map).at, `one of the ${what} has no ${field}${found}`);
    return undefined;
  }
  const problem = problemOf(tree.text);
  if (problem === undefined) return tree.text;
  problems.add(tree.at, `the ${field} of one of the ${what} ${problem}`);
  return undefined;
}

/** Bytes are compared one by one: another letter than those of ASCII is several, and nothing would be like it. */
function problemOfRegex(text: string): string | undefined {
  if (text === '' || text.length > REGEX_MAX) {
    return `has 1 to ${REGEX_MAX} characters; found ${text.length}`;
  }
  if (!/^[\x20-\x7e]+$/.test(text)) {
    return 'has printable characters of ASCII alone; write other bytes as \\xNN';
  }
  try {
    compileRegex(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return `can not be used: ${error.message}`;
  }
}
