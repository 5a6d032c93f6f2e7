import type { OptionSpec, OptionValue } from '../../../index.js';
import { parseAge, parseSize } from '../../text.js';
import { didYouMean } from './near-word.js';
import type { ProblemList } from './problem-list.js';
import { regexesIn } from './regex-value.js';
import { foundText, quoted, textsIn, type TextTree, type Tree } from './tree.js';

/** Ours: what matches patterns takes many more, and no name or path has so many. */
export const PATTERN_MAX = 1024;

const NUMBERS: Readonly<
  Record<'count' | 'bytes' | 'age', readonly [string, (text: string) => number | undefined]>
> = {
  count: ['a whole number, such as 0 or 10', parseCount],
  bytes: ['a size in bytes, such as 64k, 2T or 4096', parseSize],
  age: ['an age, such as 12h, 30d, 8w or 1y', parseAge],
};

function parseCount(text: string): number | undefined {
  const count = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(count) ? count : undefined;
}

/** The value of an option; undefined where it is none, which is noted. */
export function optionValueOf(
  tree: Tree,
  { kind, words }: OptionSpec,
  what: string,
  problems: ProblemList,
): OptionValue | undefined {
  if (kind === 'patterns') return patternsIn(tree, what, problems);
  if (kind === 'regexes') return regexesIn(tree, what, problems);
  if (kind === 'words') return wordsIn(tree, what, words ?? [], problems);
  const [wanted, parse] = NUMBERS[kind];
  const value = tree.kind === 'text' ? parse(tree.text) : undefined;
  if (value === undefined) problems.add(tree.at, `${what} is ${wanted}; found ${foundText(tree)}`);
  return value;
}

/** Patterns of names or paths; undefined where they are none, which is noted. */
export function patternsIn(
  tree: Tree,
  what: string,
  problems: ProblemList,
): readonly string[] | undefined {
  return allOf(textsIn(tree, what, problems), ({ at, text }) => {
    if (text !== '' && text.length <= PATTERN_MAX) return true;
    const found = text === '' ? 'an empty one' : `one of ${text.length}`;
    problems.add(at, `${what}: a pattern has 1 to ${PATTERN_MAX} characters; found ${found}`);
    return false;
  });
}

function wordsIn(
  tree: Tree,
  what: string,
  words: readonly string[],
  problems: ProblemList,
): readonly string[] | undefined {
  return allOf(textsIn(tree, what, problems), ({ at, text }) => {
    if (words.includes(text)) return true;
    const near = didYouMean(text, words);
    const known = near === '' ? `; there is ${words.join(', ')}` : near;
    problems.add(at, `${what} can not be ${quoted(text)}${known}`);
    return false;
  });
}

/** The texts if all are right; looks at each of them. */
function allOf(
  trees: readonly TextTree[] | undefined,
  isRight: (tree: TextTree) => boolean,
): readonly string[] | undefined {
  const right = trees?.filter(isRight);
  return right?.length === trees?.length ? right?.map(({ text }) => text) : undefined;
}
